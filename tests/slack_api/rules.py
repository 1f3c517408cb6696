"""What Slack refuses in messages and views: Block Kit, lengths, and the errors' names."""

import copy
import json
from collections.abc import Callable
from typing import Any

from slack_sdk.errors import SlackObjectFormationError
from slack_sdk.models.blocks import Block

from tests.slack_api.things import File, walk

SELECTS = {"static_select", "external_select", "users_select", "conversations_select", "channels_select"}
MULTI_SELECTS = {f"multi_{kind}" for kind in SELECTS}
CHOICES = {"checkboxes", "radio_buttons", "overflow"}
PICKERS = {"datepicker", "timepicker", "datetimepicker"}
TYPED = {"plain_text_input", "number_input", "email_text_input", "url_text_input", "rich_text_input", "file_input"}
INTERACTIVE = {"button"} | SELECTS | MULTI_SELECTS | CHOICES | PICKERS | TYPED
_SELECT = {"placeholder", "action_id", "confirm", "focus_on_load"}
_INPUT = {"action_id", "placeholder", "focus_on_load", "dispatch_action_config"}
BLOCK_KEYS = {
    "section": {"text", "fields", "accessory", "expand"},
    "divider": set(),
    "image": {"image_url", "slack_file", "alt_text", "title"},
    "actions": {"elements"},
    "context": {"elements"},
    "input": {"label", "element", "dispatch_action", "hint", "optional"},
    "header": {"text", "level"},
    "markdown": {"text"},
    "rich_text": {"elements"},
}
ELEMENT_KEYS = {
    "button": {"text", "action_id", "url", "value", "style", "confirm", "accessibility_label"},
    "static_select": _SELECT | {"options", "option_groups", "initial_option"},
    "multi_static_select": _SELECT | {"options", "option_groups", "initial_options", "max_selected_items"},
    "external_select": _SELECT | {"initial_option", "min_query_length"},
    "users_select": _SELECT | {"initial_user"},
    "channels_select": _SELECT | {"initial_channel", "response_url_enabled"},
    "conversations_select": _SELECT
    | {"initial_conversation", "default_to_current_conversation", "response_url_enabled", "filter"},
    "overflow": {"options", "action_id", "confirm"},
    "checkboxes": {"options", "initial_options", "action_id", "confirm", "focus_on_load"},
    "radio_buttons": {"options", "initial_option", "action_id", "confirm", "focus_on_load"},
    "plain_text_input": _INPUT | {"initial_value", "multiline", "min_length", "max_length"},
    "number_input": _INPUT | {"initial_value", "is_decimal_allowed", "min_value", "max_value"},
    "file_input": {"action_id", "filetypes", "max_files"},
    "image": {"image_url", "slack_file", "alt_text"},
}
RICH_KEYS = {
    "rich_text_section": {"elements"},
    "rich_text_list": {"elements", "style", "indent", "offset", "border"},
    "rich_text_preformatted": {"elements", "border", "language"},
    "rich_text_quote": {"elements", "border"},
    "text": {"text", "style"},
    "link": {"url", "text", "unsafe", "style"},
    "emoji": {"name", "unicode", "style", "skin_tone"},
    "user": {"user_id", "style"},
    "usergroup": {"usergroup_id", "style"},
    "channel": {"channel_id", "style"},
    "broadcast": {"range", "style"},
    "date": {"timestamp", "format", "url", "fallback", "style"},
    "color": {"value", "style"},
}
IN_ACTIONS = INTERACTIVE - TYPED
VIEW_KEYS = {
    "modal": {
        "type", "title", "blocks", "close", "submit", "private_metadata", "callback_id", "clear_on_close",
        "notify_on_close", "external_id", "submit_disabled",
    },
    "home": {"type", "blocks", "private_metadata", "callback_id", "external_id"},
}  # fmt: skip
PICTURE_KINDS = {"image/png", "image/jpeg", "image/gif"}
VIEW_LIMIT_BYTES = 250_000


class Refusal(Exception):
    """Answered as `{"ok": false, "error": …}`, which is HTTP 200 unless said otherwise."""

    def __init__(self, error: str, *, status: int = 200, headers: dict[str, str] | None = None, **more: Any):
        super().__init__(f"{error} {more or ''}")
        self.error, self.status, self.headers, self.more = error, status, headers or {}, more

    def json(self) -> dict[str, Any]:
        return {"ok": False, "error": self.error, **self.more}


def wrong(problem: str, pointer: str, error: str = "invalid_blocks") -> Refusal:
    message = f"{problem} [json-pointer:{pointer}]"
    return Refusal(error, errors=[message], response_metadata={"messages": [f"[ERROR] {message}"]})


FileLookup = Callable[[dict[str, Any]], File | None]


def check_blocks(blocks: Any, find_file: FileLookup, *, surface: str = "message", at: str = "/blocks") -> None:
    """`surface`: message, modal or home; `find_file` answers a `slack_file` of the app's, or None."""
    error = "invalid_blocks" if surface == "message" else "invalid_arguments"
    if not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
        raise Refusal("invalid_blocks_format" if surface == "message" else error)
    most = 50 if surface == "message" else 100
    if len(blocks) > most:
        raise wrong(f"no more than {most} items allowed", at, error)
    try:
        _check_all(blocks, find_file, surface, at)
    except Refusal as refusal:
        refusal.error = error if refusal.error == "invalid_blocks" else refusal.error
        raise
    _check_is_unique(blocks, at, error)
    if sum(len(b["text"]) for b in blocks if b["type"] == "markdown") > 12_000:
        raise Refusal("msg_blocks_too_long")


def _check_all(blocks: list[dict[str, Any]], find_file: FileLookup, surface: str, at: str) -> None:
    for index, block in enumerate(blocks):
        pointer = f"{at}/{index}"
        kind = block.get("type")
        allowed = set(BLOCK_KEYS) - (set() if surface == "message" else {"markdown"})
        if kind not in allowed:
            raise wrong(f"unsupported type: {kind}", pointer)
        _check_keys(block, BLOCK_KEYS[kind] | {"type", "block_id"}, pointer)
        _check_own(block, pointer, find_file)
        for part in walk(block):
            _check_part(part, pointer, find_file, is_top=part is block)
        _check_with_sdk(block, pointer)


def _check_keys(part: dict[str, Any], allowed: set[str], pointer: str) -> None:
    if strange := sorted(set(part) - allowed):
        raise wrong(f"invalid additional property: {strange[0]}", pointer)
    if empty := [key for key, value in part.items() if value is None]:
        raise wrong(f"expected a value for {empty[0]}", f"{pointer}/{empty[0]}")


def _need(part: dict[str, Any], key: str, pointer: str) -> Any:
    if key not in part:
        raise wrong(f"missing required field: {key}", pointer)
    return part[key]


def _check_own(block: dict[str, Any], pointer: str, find_file: FileLookup) -> None:
    kind = block["type"]
    if kind == "section":
        if not block.get("text") and not block.get("fields"):
            raise wrong("missing required field: text", pointer)
        for text in block.get("fields", []):
            _check_text(text, f"{pointer}/fields", 2000)
        if "text" in block:
            _check_text(block["text"], f"{pointer}/text", 3000)
        if "accessory" in block and block["accessory"].get("type") not in IN_ACTIONS | {"image"}:
            raise wrong("unsupported element", f"{pointer}/accessory")
    elif kind == "header":
        _check_text(_need(block, "text", pointer), f"{pointer}/text", 150, plain=True)
    elif kind == "actions":
        elements = _need(block, "elements", pointer)
        if not 1 <= len(elements) <= 25 or any(e.get("type") not in IN_ACTIONS for e in elements):
            raise wrong("must hold 1 to 25 interactive elements", f"{pointer}/elements")
    elif kind == "context":
        elements = _need(block, "elements", pointer)
        if not 1 <= len(elements) <= 10 or any(
            e.get("type") not in ("mrkdwn", "plain_text", "image") for e in elements
        ):
            raise wrong("must hold 1 to 10 texts and images", f"{pointer}/elements")
        for text in (e for e in elements if "text" in e):
            _check_text(text, f"{pointer}/elements", 3000)
    elif kind == "input":
        _check_text(_need(block, "label", pointer), f"{pointer}/label", 2000, plain=True)
        if "hint" in block:
            _check_text(block["hint"], f"{pointer}/hint", 2000, plain=True)
        if _need(block, "element", pointer).get("type") not in INTERACTIVE - {"button", "overflow"}:
            raise wrong("unsupported element", f"{pointer}/element")
    elif kind == "markdown" and not _need(block, "text", pointer):
        raise wrong("must be more than 0 characters", f"{pointer}/text")
    elif kind == "rich_text":
        for element in _need(block, "elements", pointer):
            kinds = ("rich_text_section", "rich_text_list", "rich_text_preformatted", "rich_text_quote")
            if element.get("type") not in kinds:
                raise wrong("unsupported rich text element", f"{pointer}/elements")
        for part in walk(block["elements"]):
            _check_rich(part, f"{pointer}/elements")


def _check_rich(part: dict[str, Any], pointer: str) -> None:
    kind = part.get("type")
    if kind not in RICH_KEYS:
        if "type" in part:
            raise wrong(f"unsupported rich text element: {kind}", pointer)
        if strange := set(part) - {"bold", "italic", "strike", "code", "underline"}:
            raise wrong(f"invalid additional property: {min(strange)}", f"{pointer}/style")
        return
    _check_keys(part, RICH_KEYS[kind] | {"type"}, pointer)
    if kind == "text" and not part.get("text"):
        raise wrong("must be more than 0 characters", pointer)
    if kind == "date" and not (isinstance(part.get("timestamp"), int) and "{" in part.get("format", "")):
        raise wrong("must have a timestamp and a format with a token", pointer)


def _check_part(part: dict[str, Any], pointer: str, find_file: FileLookup, *, is_top: bool) -> None:
    kind = part.get("type")
    if kind in ("plain_text", "mrkdwn"):
        _check_text(part, pointer, 12_000)
    if kind == "image":
        _check_image(part, pointer, find_file)
    if kind in ELEMENT_KEYS and not is_top:
        _check_keys(part, ELEMENT_KEYS[kind] | {"type"}, pointer)
    if kind in INTERACTIVE:
        _check_element(part, kind, pointer)
    for key in ("block_id", "action_id"):
        if key in part and not 1 <= len(part[key]) <= 255:
            raise wrong(f"{key} must be 1 to 255 characters", pointer)


def _check_text(text: Any, pointer: str, most: int, *, plain: bool = False) -> None:
    kinds = ("plain_text",) if plain else ("plain_text", "mrkdwn")
    if not isinstance(text, dict) or text.get("type") not in kinds or not isinstance(text.get("text"), str):
        raise wrong(f"expected a text of {' or '.join(kinds)}", pointer)
    _check_keys(text, {"type", "text", "emoji" if text["type"] == "plain_text" else "verbatim"}, pointer)
    if not text["text"]:
        raise wrong("must be more than 0 characters", f"{pointer}/text")
    if len(text["text"]) > most:
        raise wrong(f"must be less than {most + 1} characters", f"{pointer}/text")


def _check_image(part: dict[str, Any], pointer: str, find_file: FileLookup) -> None:
    if not _need(part, "alt_text", pointer) or len(part["alt_text"]) > 2000:
        raise wrong("alt_text must be 1 to 2000 characters", f"{pointer}/alt_text")
    if "title" in part:
        _check_text(part["title"], f"{pointer}/title", 2000, plain=True)
    if ("image_url" in part) == ("slack_file" in part):
        raise wrong("must provide either image_url or slack_file", pointer)
    if "slack_file" in part:
        file = find_file(part["slack_file"])
        if file is None or not file.is_processed or file.mimetype not in PICTURE_KINDS:
            raise wrong("invalid slack file", f"{pointer}/slack_file")
    elif part["image_url"].startswith(("http://", "https://")) is False:
        raise wrong("invalid url", f"{pointer}/image_url")


def _check_element(part: dict[str, Any], kind: str, pointer: str) -> None:
    if "confirm" in part:
        _check_confirm(part["confirm"], f"{pointer}/confirm")
    if "placeholder" in part:
        _check_text(part["placeholder"], f"{pointer}/placeholder", 150, plain=True)
    if kind == "button":
        _check_button(part, pointer)
    elif kind == "plain_text_input":
        most = part.get("max_length", 3000)
        if not 1 <= most <= 3000 or not 0 <= part.get("min_length", 0) <= 3000:
            raise wrong("min_length and max_length must be within 3000", pointer)
        if len(part.get("initial_value", "")) > most:
            raise wrong("initial_value is longer than max_length", f"{pointer}/initial_value")
    elif kind == "number_input":
        _need(part, "is_decimal_allowed", pointer)
        if not all(isinstance(part.get(key, ""), str) for key in ("initial_value", "min_value", "max_value")):
            raise wrong("must be a string", pointer)
    elif kind == "file_input" and not 1 <= part.get("max_files", 10) <= 10:
        raise wrong("max_files must be 1 to 10", pointer)
    elif "options" in part or "option_groups" in part or kind in ("static_select", *CHOICES):
        check_options(part, kind, pointer)


def _check_button(part: dict[str, Any], pointer: str) -> None:
    _check_text(_need(part, "text", pointer), f"{pointer}/text", 75, plain=True)
    if len(part.get("value", "")) > 2000:
        raise wrong("must be less than 2001 characters", f"{pointer}/value")
    if "value" in part and not part["value"]:
        raise wrong("must be more than 0 characters", f"{pointer}/value")
    if len(part.get("url", "")) > 3000:
        raise wrong("must be less than 3001 characters", f"{pointer}/url")
    if part.get("style", "primary") not in ("primary", "danger"):
        raise wrong("style must be primary or danger", f"{pointer}/style")
    if not 1 <= len(part.get("accessibility_label", "x")) <= 75:
        raise wrong("must be less than 76 characters", f"{pointer}/accessibility_label")


def _check_confirm(confirm: dict[str, Any], pointer: str) -> None:
    _check_keys(confirm, {"title", "text", "confirm", "deny", "style"}, pointer)
    for key, most in (("title", 100), ("text", 300), ("confirm", 30), ("deny", 30)):
        _check_text(_need(confirm, key, pointer), f"{pointer}/{key}", most, plain=key != "text")


def check_options(part: dict[str, Any], kind: str, pointer: str) -> None:
    groups = part.get("option_groups", [])
    options = [o for group in groups for o in group["options"]] if groups else part.get("options", [])
    most = {"checkboxes": 10, "radio_buttons": 10, "overflow": 5}.get(kind, 100)
    if not 1 <= len(options) <= most * (len(groups) or 1):
        raise wrong(f"must hold 1 to {most} options", f"{pointer}/options")
    for option in options:
        _check_keys(option, {"text", "value", "description", "url"}, f"{pointer}/options")
        _check_text(_need(option, "text", pointer), f"{pointer}/options", 75, plain=kind.endswith("select"))
        if not 1 <= len(_need(option, "value", pointer)) <= 150:
            raise wrong("value must be 1 to 150 characters", f"{pointer}/options")
        if "description" in option:
            _check_text(option["description"], f"{pointer}/options", 75, plain=kind.endswith("select"))
    if len({o["value"] for o in options}) < len(options):
        raise wrong("option values must be unique", f"{pointer}/options")
    chosen = [part["initial_option"]] if "initial_option" in part else part.get("initial_options", [])
    if any(option not in options for option in chosen):
        raise wrong("initial_option must be one of the options", f"{pointer}/initial_option")
    if "initial_options" in part and not part["initial_options"]:
        raise wrong("initial_options must not be empty", f"{pointer}/initial_options")


def _check_is_unique(blocks: list[dict[str, Any]], at: str, error: str) -> None:
    """Slack wants an action_id to be unique in its block; here it is in the whole message, as its state is read so."""
    for key in ("block_id", "action_id"):
        seen: set[str] = set()
        for part in walk(blocks):
            if key in part and part[key] in seen:
                raise wrong(f"{key} already exists: {part[key]}", at, error)
            seen.add(part.get(key, ""))


def _check_with_sdk(block: dict[str, Any], pointer: str) -> None:
    try:
        parsed = Block.parse(copy.deepcopy(block))
        assert parsed is not None, block["type"]
        parsed.to_dict()
    except (SlackObjectFormationError, TypeError, AttributeError, KeyError) as error:
        raise wrong(str(error), pointer) from None


def numbered(blocks: list[dict[str, Any]], new: Callable[[], str]) -> list[dict[str, Any]]:
    """A copy in which every block and every interactive element has its id, as Slack gives them."""
    blocks = copy.deepcopy(blocks)
    for block in blocks:
        block.setdefault("block_id", new())
        for part in walk(block):
            if part.get("type") in INTERACTIVE:
                part.setdefault("action_id", new())
    return blocks


def check_view(view: Any, find_file: FileLookup, *, home: bool = False) -> None:
    kind = "home" if home else "modal"
    if not isinstance(view, dict) or view.get("type") != kind:
        raise wrong(f"must be a {kind}", "/view/type", "invalid_arguments")
    if len(json.dumps(view)) > VIEW_LIMIT_BYTES:
        raise Refusal("view_too_large")
    try:
        _check_keys(view, VIEW_KEYS[kind], "/view")
        for key in ("title", "submit", "close"):
            if key in view:
                _check_text(view[key], f"/view/{key}", 24, plain=True)
        if not home:
            _need(view, "title", "/view")
    except Refusal as refusal:
        refusal.error = "invalid_arguments"
        raise
    for key, most in (("private_metadata", 3000), ("callback_id", 255), ("external_id", 255)):
        if len(view.get(key, "")) > most:
            raise wrong(f"must be less than {most + 1} characters", f"/view/{key}", "invalid_arguments")
    check_blocks(view.get("blocks"), find_file, surface=kind, at="/view/blocks")
    if not home and "submit" not in view and any(block["type"] == "input" for block in view["blocks"]):
        raise wrong("submit is required when an input is within blocks", "/view/submit", "invalid_arguments")


def check_metadata(metadata: Any) -> None:
    if not isinstance(metadata, dict) or set(metadata) - {"event_type", "event_payload", "entities"}:
        raise Refusal("invalid_metadata_format")
    if metadata and not (
        isinstance(metadata.get("event_type"), str) and isinstance(metadata.get("event_payload"), dict)
    ):
        raise Refusal("invalid_metadata_schema")
    if len(json.dumps(metadata)) > 16_384:
        raise Refusal("metadata_too_large")
