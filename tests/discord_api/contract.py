"""Discord's official description of its API, where it is at hand: `LIMNER_CONTRACTS` says where."""

import importlib.util
import json
import os
import re
from functools import cache
from pathlib import Path
from typing import Any

from tests.discord_api.rules import parse_multipart


def is_at_hand() -> bool:
    return bool(os.environ.get("LIMNER_CONTRACTS"))


@cache
def description() -> Any:
    """The checker with the description, loaded once."""
    folder = Path(os.environ["LIMNER_CONTRACTS"]) / "discord"
    spec = importlib.util.spec_from_file_location("discord_contract_check", folder / "check.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.json = _JsonThatCloses
    return module.DiscordSpec(folder / "openapi.json")


class _JsonThatCloses:
    """json, but `load` closes its file: warnings are errors here."""

    dumps, loads = staticmethod(json.dumps), staticmethod(json.loads)

    @staticmethod
    def load(file: Any) -> Any:
        with file:
            return json.load(file)


def violations(method: str, path: str, query: str, headers: dict[str, str], body: bytes) -> list[str]:
    """What the description objects to, less discord.py's own three deviations, which the live service accepts."""
    content_type = headers.get("Content-Type", "")
    if content_type.startswith("application/json") and body:
        body = json.dumps(_as_described(method, path, json.loads(body))).encode()
    elif content_type.startswith("multipart/form-data"):
        body = _light_form(method, path, content_type, body)
    return [f"{method} {path}: {what}" for what in description().check_request(method, path, query, headers, body)[3]]


def _as_described(method: str, path: str, form: Any) -> Any:
    """Without integer ids of attachments, `tts` in a message PATCH, and `nsfw` in a command PUT."""
    if method == "PUT" and path.endswith("/commands"):
        return [{key: value for key, value in command.items() if key != "nsfw"} for command in form]
    if not isinstance(form, dict):
        return form
    inner = form.get("data") if isinstance(form.get("data"), dict) else form
    for one in inner.get("attachments") or []:
        if isinstance(one.get("id"), int):
            one["id"] = str(one["id"])
    if method == "PATCH" and re.search(r"/messages/[^/]+$", path):
        form.pop("tts", None)
    return form


def answer_violations(method: str, path: str, status: int, answer: Any) -> list[str]:
    """Where an answer of the stand-in is not what Discord describes."""
    body = b"" if answer is None else json.dumps(answer).encode()
    return [f"{method} {path}: {what}" for what in description().check_response(method, path, status, body)]


def _light_form(method: str, path: str, content_type: str, body: bytes) -> bytes:
    """The same form, with the first bytes of each file only."""
    boundary = re.search(r'boundary="?([^";]+)"?', content_type)[1].encode()
    fields, files = parse_multipart(content_type, body)
    parts = [(file.headers, file.data[:16]) for file in files.values()]
    for name, value in fields.items():
        if name == "payload_json":
            value = json.dumps(_as_described(method, path, json.loads(value))).encode()
        parts.append((b'Content-Disposition: form-data; name="%s"' % name.encode(), value))
    whole = b"".join(b"--%s\r\n%s\r\n\r\n%s\r\n" % (boundary, *part) for part in parts)
    return whole + b"--%s--\r\n" % boundary
