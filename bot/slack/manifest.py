"""The manifest of the Slack app, with the operator's names and mode."""

from importlib import resources

from bot.settings import Settings

_NAMES = ("/imagine", "/limner", "/limner-admin")


def manifest(settings: Settings, request_url: str = "") -> str:
    """In YAML. With `request_url` for signed HTTP, else for Socket Mode."""
    text = (resources.files("bot.slack") / "manifest.yaml").read_text("utf-8")
    for name, wanted in zip(_NAMES, settings.slack_commands, strict=True):
        text = text.replace(f"command: {name}\n", f"command: \0{wanted}\n")
    text = text.replace("\0", "")
    if not request_url:
        return "".join(line for line in text.splitlines(keepends=True) if "# over HTTP" not in line)
    text = text.replace("socket_mode_enabled: true", "socket_mode_enabled: false")
    return text.replace("# over HTTP url:", f"url: {request_url}").replace(
        "# over HTTP request_url:", f"request_url: {request_url}"
    )
