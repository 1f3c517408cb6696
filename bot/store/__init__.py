"""Every line of SQL. `Store` is the whole interface; its methods are whole transactions."""

from bot.store.chat import Callback
from bot.store.jobs import Wanted
from bot.store.ledger import Account, Charge, Grant
from bot.store.outbox import Parcel
from bot.store.store import Limits, Pending, Store, open_store

__all__ = ["Account", "Callback", "Charge", "Grant", "Limits", "Parcel", "Pending", "Store", "Wanted", "open_store"]
