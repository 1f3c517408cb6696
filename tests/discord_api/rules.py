"""What Discord refuses, with its status and its code."""

import json
import re
from typing import Any

from tests.discord_api.things import BUTTON, COMPONENTS_V2, MEBIBYTE, Attachment, walk

REQUEST_LIMIT_BYTES = 25 * MEBIBYTE
ROW, TEXT_INPUT, TEXT_DISPLAY, LABEL, LINK = 1, 4, 10, 18, 5
SELECTS = {3, 5, 6, 7, 8}


class Refusal(Exception):
    """Answered as JSON; `errors` says which field of a form is wrong."""

    def __init__(self, status: int, code: int, message: str, errors: dict[str, Any] | None = None):
        super().__init__(f"{status} {code} {message} {errors or ''}")
        self.status, self.code, self.message, self.errors = status, code, message, errors

    def json(self) -> dict[str, Any]:
        found = {"message": self.message, "code": self.code}
        return found | {"errors": self.errors} if self.errors else found


def unknown(what: str) -> Refusal:
    codes = {"Channel": 10003, "Guild": 10004, "Message": 10008, "User": 10013, "Webhook": 10015, "interaction": 10062}
    return Refusal(404, codes[what], f"Unknown {what}")


def unauthorized() -> Refusal:
    return Refusal(401, 0, "401: Unauthorized")


def invalid_form(path: str, code: str, message: str) -> Refusal:
    errors: dict[str, Any] = {"_errors": [{"code": code, "message": message}]}
    for key in reversed(path.split(".")):
        errors = {key: errors}
    return Refusal(400, 50035, "Invalid Form Body", errors)


def within(path: str, text: Any, least: int, most: int) -> None:
    if not isinstance(text, str) or not least <= len(text) <= most:
        raise invalid_form(path, "BASE_TYPE_BAD_LENGTH", f"Must be between {least} and {most} in length.")


def check_form(form: dict[str, Any], flags: int) -> None:
    """Content, embeds and components of a message that is created or edited."""
    content = form.get("content")
    if content is not None and len(content) > 2000:
        raise invalid_form("content", "BASE_TYPE_MAX_LENGTH", "Must be 2000 or fewer in length.")
    if flags & COMPONENTS_V2 and (content or form.get("embeds") or form.get("poll")):
        raise invalid_form("content", "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2", "Not with components V2.")
    check_embeds(form.get("embeds") or [])
    check_components(form.get("components") or [], is_v2=bool(flags & COMPONENTS_V2))


def check_embeds(embeds: list[dict[str, Any]]) -> None:
    if len(embeds) > 10:
        raise invalid_form("embeds", "BASE_TYPE_MAX_LENGTH", "Must be 10 or fewer in length.")
    total = 0
    for index, embed in enumerate(embeds):
        path, fields = f"embeds.{index}", embed.get("fields", [])
        texts = [("title", embed.get("title"), 256), ("description", embed.get("description"), 4096)]
        texts.append(("footer.text", embed.get("footer", {}).get("text"), 2048))
        texts.append(("author.name", embed.get("author", {}).get("name"), 256))
        for at, one in enumerate(fields):
            texts += [(f"fields.{at}.name", one["name"], 256), (f"fields.{at}.value", one["value"], 1024)]
        if len(fields) > 25:
            raise invalid_form(f"{path}.fields", "BASE_TYPE_MAX_LENGTH", "Must be 25 or fewer in length.")
        for name, text, most in texts:
            if text is not None:
                within(f"{path}.{name}", text, 0, most)
                total += len(text)
    if total > 6000:
        raise invalid_form("embeds", "MAX_EMBED_SIZE_EXCEEDED", "Embed size exceeds maximum size of 6000")


def check_components(components: list[dict[str, Any]], *, is_v2: bool) -> None:
    parts = list(walk(components))
    if is_v2:
        if len(parts) > 40:
            raise invalid_form("components", "BASE_TYPE_MAX_LENGTH", "Must be 40 or fewer in total.")
        if sum(len(part["content"]) for part in parts if part["type"] == TEXT_DISPLAY) > 4000:
            raise invalid_form("components", "COMPONENT_MAX_TOTAL_TEXT", "Text must be 4000 or fewer in total.")
    elif len(components) > 5 or any(part["type"] != ROW for part in components):
        raise invalid_form("components", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 5 action rows.")
    for row in (part for part in parts if part["type"] == ROW):
        kinds = [part["type"] for part in row["components"]]
        fits = (1 <= len(kinds) <= 5 and set(kinds) == {BUTTON}) or (len(kinds) == 1 and kinds[0] in SELECTS)
        if not fits:
            raise invalid_form("components.0.components", "BASE_TYPE_BAD_LENGTH", "One to five buttons or one select.")
    seen: set[str] = set()
    for part in parts:
        if part["type"] == BUTTON:
            check_button(part)
        if part["type"] in SELECTS:
            check_select(part)
        if "custom_id" in part:
            within("components.0.custom_id", part["custom_id"], 1, 100)
            if part["custom_id"] in seen:
                message = "Component custom id cannot be duplicated"
                raise invalid_form("components.0.custom_id", "COMPONENT_CUSTOM_ID_DUPLICATED", message)
            seen.add(part["custom_id"])


def check_button(part: dict[str, Any]) -> None:
    path = "components.0.components.0"
    within(f"{path}.label", part.get("label") or "", 0, 80)
    if not part.get("label") and not part.get("emoji"):
        raise invalid_form(f"{path}.label", "BUTTON_COMPONENT_LABEL_REQUIRED", "A label or an emoji is required.")
    is_link = part.get("style") == LINK
    if is_link == ("custom_id" in part) or is_link != bool(part.get("url")):
        raise invalid_form(path, "BUTTON_COMPONENT_STYLE", "A link has a url, any other button a custom_id.")


def check_select(part: dict[str, Any]) -> None:
    path, options = "components.0.components.0", part.get("options", [])
    within(f"{path}.placeholder", part.get("placeholder") or "", 0, 150)
    if part["type"] == 3 and not 1 <= len(options) <= 25:
        raise invalid_form(f"{path}.options", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 25 in length.")
    for option in options:
        within(f"{path}.options.label", option["label"], 1, 100)
        within(f"{path}.options.value", option["value"], 1, 100)
        within(f"{path}.options.description", option.get("description") or "", 0, 100)
    if len({option["value"] for option in options}) < len(options):
        message = "The specified option value is already used"
        raise invalid_form(f"{path}.options", "SELECT_COMPONENT_OPTION_VALUE_DUPLICATED", message)


def check_modal(modal: dict[str, Any]) -> None:
    within("data.title", modal.get("title"), 1, 45)
    within("data.custom_id", modal.get("custom_id"), 1, 100)
    rows = modal.get("components", [])
    if not 1 <= len(rows) <= 5 or any(row["type"] not in (ROW, TEXT_DISPLAY, LABEL) for row in rows):
        raise invalid_form("data.components", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 5 in length.")
    seen: set[str] = set()
    for part in walk(rows):
        if part["type"] == LABEL:
            within("data.components.label", part.get("label"), 1, 45)
            within("data.components.description", part.get("description") or "", 0, 100)
        if part["type"] == TEXT_INPUT:
            within("data.components.value", part.get("value") or "", 0, min(part.get("max_length") or 4000, 4000))
            within("data.components.placeholder", part.get("placeholder") or "", 0, 100)
            within("data.components.label", part.get("label") or "", 0, 45)
        if part["type"] in SELECTS:
            check_select(part)
        if "custom_id" in part:
            within("data.components.custom_id", part["custom_id"], 1, 100)
            if part["custom_id"] in seen:
                raise invalid_form("data.components", "COMPONENT_CUSTOM_ID_DUPLICATED", "Duplicated custom id.")
            seen.add(part["custom_id"])


def check_files(files: dict[str, "File"], kept: list[Attachment], limit_bytes: int) -> None:
    if len(files) + len(kept) > 10:
        raise Refusal(400, 30015, "Maximum number of attachments in a message reached (10)")
    if any(len(file.data) > limit_bytes for file in files.values()):
        raise Refusal(413, 40005, "Request entity too large")


def check_is_not_empty(message: Any) -> None:
    if not (message.content.strip() or message.embeds or message.components or message.attachments):
        raise Refusal(400, 50006, "Cannot send an empty message")


def check_references(message: Any) -> None:
    """Every `attachment://name` is one of the message's files."""
    names = {a.filename for a in message.attachments}
    for name in re.findall(r'"attachment://([^"]+)"', json.dumps([message.embeds, message.components])):
        if name not in names:
            raise invalid_form("components", "UNFURLED_MEDIA_ITEM_REFERENCED_ATTACHMENT_NOT_FOUND", f"No file {name}.")


def check_commands(commands: list[dict[str, Any]]) -> None:
    for kind, most in ((1, 100), (2, 15), (3, 15)):
        same = [c["name"] for c in commands if c.get("type", 1) == kind]
        if len(same) > most:
            raise Refusal(400, 30032, f"Maximum number of application commands reached ({most})")
        if len(set(same)) < len(same):
            raise invalid_form(
                "0.name", "APPLICATION_COMMANDS_DUPLICATE_NAME", "Application command names must be unique"
            )
    for index, command in enumerate(commands):
        check_command(str(index), command, is_chat=command.get("type", 1) == 1)
        if command_size(command) > 8000:
            raise invalid_form(str(index), "APPLICATION_COMMAND_TOO_LARGE", "Command exceeds maximum size (8000)")


def check_command(path: str, command: dict[str, Any], *, is_chat: bool) -> None:
    for name in [command["name"], *(command.get("name_localizations") or {}).values()]:
        within(f"{path}.name", name, 1, 32)
        if is_chat and (not re.fullmatch(r"[-_'\w]{1,32}", name) or name != name.lower()):
            raise invalid_form(f"{path}.name", "APPLICATION_COMMAND_INVALID_NAME", "Command name is invalid")
    for text in [command.get("description", ""), *(command.get("description_localizations") or {}).values()]:
        within(f"{path}.description", text, int(is_chat), 100 if is_chat else 0)
    options = command.get("options") or []
    if len(options) > 25 or len({o["name"] for o in options}) < len(options):
        raise invalid_form(f"{path}.options", "BASE_TYPE_BAD_LENGTH", "At most 25 options, each with its own name.")
    needed = [bool(o.get("required")) for o in options]
    if needed != sorted(needed, reverse=True):
        message = "Required options must be placed before non-required options"
        raise invalid_form(f"{path}.options", "APPLICATION_COMMAND_OPTIONS_REQUIRED_INVALID", message)
    for index, option in enumerate(options):
        check_command(f"{path}.options.{index}", option, is_chat=True)
        check_choices(f"{path}.options.{index}.choices", option.get("choices") or [])
        if option.get("choices") and option.get("autocomplete"):
            raise invalid_form(
                f"{path}.options.{index}", "APPLICATION_COMMAND_AUTOCOMPLETE", "Choices or autocomplete."
            )


def check_choices(path: str, choices: list[dict[str, Any]]) -> None:
    if len(choices) > 25:
        raise invalid_form(path, "BASE_TYPE_MAX_LENGTH", "Must be 25 or fewer in length.")
    for choice in choices:
        within(f"{path}.name", choice["name"], 1, 100)
        if isinstance(choice["value"], str):
            within(f"{path}.value", choice["value"], 1, 100)


def command_size(command: dict[str, Any]) -> int:
    """Characters of names, descriptions and values; of a localised text the longest counts."""
    longest = 0
    for key in ("name", "description"):
        longest += max(map(len, [command.get(key, ""), *(command.get(f"{key}_localizations") or {}).values()]))
    choices = sum(command_size(c) + len(str(c["value"])) for c in command.get("choices") or [])
    return longest + choices + sum(map(command_size, command.get("options") or []))


class File:
    """An uploaded part of a request, its headers as they came."""

    def __init__(self, filename: str, headers: bytes, data: bytes):
        self.filename, self.headers, self.data = filename, headers, data


def parse_multipart(content_type: str, body: bytes) -> tuple[dict[str, bytes], dict[str, File]]:
    """(fields, files) of a form, by name."""
    boundary = re.search(r'boundary="?([^";]+)"?', content_type)
    if boundary is None:
        raise Refusal(400, 50035, "Invalid Form Body")
    fields, files = {}, {}
    for part in (b"\r\n" + body).split(b"\r\n--" + boundary[1].encode())[1:-1]:
        headers, _, data = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        name = re.search(rb'\bname="([^"]*)"', headers)[1].decode()
        filename = re.search(rb'\bfilename="([^"]*)"', headers)
        if filename:
            files[name] = File(filename[1].decode(), headers, data)
        else:
            fields[name] = data
    return fields, files


def pinged(content: str, allowed: dict[str, Any] | None, *, default: tuple[str, ...]) -> set[str]:
    """Whom a content names: `allowed_mentions` as Discord reads it, without a look at the sender's permissions."""
    allowed = {"parse": list(default)} if allowed is None else allowed
    parse, found = allowed.get("parse") or [], set()
    if "everyone" in parse:
        found |= set(re.findall(r"@everyone|@here", content))
    for pattern, kind, prefix in ((r"<@!?(\d+)>", "users", ""), (r"<@&(\d+)>", "roles", "role:")):
        named = set(re.findall(pattern, content))
        chosen = named if kind in parse else named & set(map(str, allowed.get(kind) or []))
        found |= {prefix + one for one in chosen}
    return found
