"""What an error of Slack's means for us: the names stand in each method's reference, https://docs.slack.dev/reference/methods."""

from enum import Enum, auto
from typing import Any

from slack_sdk.errors import SlackApiError


class Fault(Enum):
    PASSING = auto()  # worth another try
    TOO_OFTEN = auto()
    REVOKED = auto()  # the bot's own token
    NO_SCOPE = auto()
    NOT_INVITED = auto()
    ARCHIVED = auto()
    CLOSED = auto()  # somebody forbids the bot to post there, or to post files
    NO_MESSAGE = auto()
    NO_TRIGGER = auto()  # it lasts three seconds
    NO_VIEW = auto()  # it was closed, or another delivery has opened it
    NOT_YET = auto()  # Slack still looks at a picture
    NO_FILE = auto()  # also one whose sharing was not asked for, or was asked for before


_NAMES = {
    Fault.TOO_OFTEN: "ratelimited rate_limited message_limit_exceeded",
    Fault.REVOKED: "invalid_auth not_authed token_revoked token_expired account_inactive org_login_required"
    " not_allowed_token_type",
    Fault.NO_SCOPE: "missing_scope",
    Fault.NOT_INVITED: "not_in_channel channel_not_found user_not_in_channel channel_is_limited_access no_permission",
    Fault.ARCHIVED: "is_archived is_inactive",
    Fault.CLOSED: "restricted_action restricted_action_read_only_channel restricted_action_thread_only_channel"
    " restricted_action_thread_locked restricted_action_non_threadable_channel access_denied ekm_access_denied"
    " team_access_not_granted file_uploads_disabled file_uploads_except_images_disabled file_upload_size_restricted"
    " storage_limit_reached posting_to_general_channel_denied cannot_dm_bot"
    " users_not_found user_not_found user_disabled messages_tab_disabled",
    Fault.NO_MESSAGE: "message_not_found thread_not_found cant_update_message edit_window_closed invalid_thread_ts",
    Fault.NO_TRIGGER: "expired_trigger_id invalid_trigger_id trigger_expired",
    Fault.NO_VIEW: "not_found exchanged_trigger_id trigger_exchanged",
    Fault.NOT_YET: "invalid_blocks invalid_attachments slack_file_not_ready",
    Fault.NO_FILE: "file_not_found file_deleted",
}  # fmt: skip
_BY_NAME = {name: fault for fault, names in _NAMES.items() for name in names.split()}


def name_of(error: SlackApiError) -> str:
    data: Any = getattr(error.response, "data", None) or (error.response if isinstance(error.response, dict) else {})
    return str(data.get("error", "")) if isinstance(data, dict) else ""


def fault(error: BaseException) -> Fault:
    """Every error that is not Slack's refusal, a timeout or a broken connection, is passing."""
    if not isinstance(error, SlackApiError):
        return Fault.PASSING
    if getattr(error.response, "status_code", 0) == 429:
        return Fault.TOO_OFTEN
    return _BY_NAME.get(name_of(error), Fault.PASSING)


def reason(error: BaseException) -> str:
    """For the log; nothing that anybody said stands in it."""
    if not isinstance(error, SlackApiError):
        return type(error).__name__
    return name_of(error) or f"status {getattr(error.response, 'status_code', '?')}"
