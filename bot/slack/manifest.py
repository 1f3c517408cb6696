"""The manifest of the Slack app, with the operator's names and mode, and the scopes that are asked for."""

import re
from collections.abc import Collection
from importlib import resources

from bot.errors import CannotStart
from bot.settings import Settings
from bot.slack.web import COMMANDS


def manifest(settings: Settings, request_url: str = "", *, more: Collection[str] = ()) -> str:
    """In YAML. With `request_url` for signed HTTP, else for Socket Mode; `more`: "user groups", "history".

    Raises CannotStart where the settings say HTTP and no address is given.
    """
    if settings.slack_signing_secret and not (settings.slack_app_token or request_url):
        raise CannotStart("LIMNER_SLACK_SIGNING_SECRET is set, for HTTP: add `--url https://…`, where Slack sends to.")
    wanted = {*more, "HTTP" if request_url else "sockets"}
    lines = []
    for line in (resources.files("bot.slack") / "manifest.yaml").read_text("utf-8").splitlines():
        optional = re.fullmatch(r"( *)(\S.*)  # for (.*)", line)
        if optional and optional[3] in wanted:
            lines.append(optional[1] + optional[2].replace("URL", request_url))
        elif optional is None:
            lines.append(line)
    text = "\n".join(lines) + "\n"
    for name, wanted_name in zip(COMMANDS, settings.slack_commands, strict=True):
        text = text.replace(f"command: {name}\n", f"command: \0{wanted_name}\n")
    return text.replace("\0", "")
