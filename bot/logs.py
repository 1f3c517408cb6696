"""What the log may hold: no secret and no prompt, at any level and from any library."""

import logging
import secrets
from collections.abc import Iterable

log = logging.getLogger(__name__)

# Below INFO these write requests and answers, with tokens and what people typed.
_TALKATIVE = (
    "discord", "slack_sdk", "slack_bolt", "aiohttp", "aiosqlite", "asyncio", "PIL", "urllib3", "httpx", "httpcore",
    "websockets", "huggingface_hub", "filelock",
)  # fmt: skip


class Redacting(logging.Formatter):
    """Replaces each secret wherever it stands: in a message, in an argument, in a traceback."""

    def __init__(self, secrets: Iterable[str]):
        super().__init__("%(asctime)s %(levelname).1s %(name)s: %(message)s", datefmt="%H:%M:%S")
        self._secrets = sorted((secret for secret in secrets if len(secret) > 3), key=len, reverse=True)

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text


def set_up(level: str, secrets: Iterable[str] = ()) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(Redacting(secrets))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    quieten()


def broken(what: str, error: Exception) -> str:
    """Log a fault of ours; the reference under which a person can ask for it."""
    reference = f"E-{secrets.token_hex(2)}"
    log.error("%s: %s failed", reference, what, exc_info=error)
    return reference


def quieten() -> None:
    """Whatever the level of our own log is, libraries say no more than INFO."""
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(max(logging.INFO, logging.getLogger().level))
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)  # addresses hold tokens and words
