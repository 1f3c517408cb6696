"""To the Limner that runs on this data directory, through its own page: only that process writes the database."""

import base64
import json
import re
import secrets
import time
import urllib.error
import urllib.request
from typing import Any

from bot.admin import Answer
from bot.errors import CannotStart
from bot.phrases import relative
from bot.settings import Settings
from bot.store.inspection import page_url

_PATIENCE_SECONDS = 150.0  # the doctor's checks take a while


def ask(settings: Settings, order: str) -> Answer:
    """Raises CannotStart with what the running Limner says, or if its page does not answer."""
    url = page_url(settings.data / "limner.db")
    if url is None:
        raise CannotStart("Limner is starting: try again in a moment.", exit_code=75)
    body = json.dumps({"text": f"/limner-admin {order}", "key": f"command:{secrets.token_hex(12)}"}).encode()
    request = urllib.request.Request(f"{url}/api/commands", body, {"Content-Type": "application/json"})
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
            request, timeout=_PATIENCE_SECONDS
        ) as it:
            answer = json.load(it)["answer"]
    except urllib.error.HTTPError as error:
        raise CannotStart(_plain(_problem(error)), exit_code=2) from None
    except (OSError, ValueError) as error:
        raise CannotStart(f"The Limner that runs does not answer at {url} ({error}).", exit_code=75) from None
    return Answer(
        _plain(answer["body"]), tuple((each["name"], base64.b64decode(each["data"])) for each in answer["files"])
    )


def _problem(error: urllib.error.HTTPError) -> str:
    try:
        found: dict[str, Any] = json.load(error)["error"]
    except (ValueError, KeyError):
        return f"The Limner that runs answers with status {error.code}."
    return f"{found['title'].rstrip('.')}. {found['body']}".rstrip()


def _plain(text: str) -> str:
    """The page's moments as words."""
    when = relative(time.time_ns() // 10**6)
    return re.sub(r"<t:(\d+)>", lambda match: when(int(match[1])), text)
