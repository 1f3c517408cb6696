"""Every line of SQL. `Store` is the whole interface; its methods are whole transactions."""

from bot.allowances import Limits
from bot.store.chat import PAGE_NOTE, Callback
from bot.store.jobs import Wanted
from bot.store.ledger import Account, Charge, Grant
from bot.store.outbox import Parcel
from bot.store.privacy import Forgotten
from bot.store.rulebook import Rulebook
from bot.store.rules import Act, Entry, Halt
from bot.store.store import Store, open_store

__all__ = [
    "PAGE_NOTE", "Account", "Act", "Callback", "Charge", "Entry", "Forgotten", "Grant", "Halt", "Limits",
    "Parcel", "Rulebook", "Store", "Wanted", "open_store",
]  # fmt: skip
