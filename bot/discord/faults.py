"""What an error of Discord's means for us: facts in `discord.com/developers/docs/topics/opcodes-and-status-codes`."""

from enum import Enum, auto

import discord

# The permissions that the bot asks for, no more: what `limner doctor` puts into the invite link.
PERMISSIONS = discord.Permissions(
    view_channel=True, send_messages=True, send_messages_in_threads=True, create_public_threads=True,
    attach_files=True, read_message_history=True,
)  # fmt: skip


class Fault(Enum):
    PASSING = auto()  # worth another try
    NO_CHANNEL = auto()
    NO_MESSAGE = auto()
    NO_PERMISSION = auto()
    NO_TOKEN = auto()  # the interaction has ended
    TOO_LARGE = auto()
    IS_ANSWERED = auto()  # the interaction has its answer already
    REVOKED = auto()  # the bot's own token


_BY_CODE = {
    10003: Fault.NO_CHANNEL, 10004: Fault.NO_CHANNEL, 50083: Fault.NO_CHANNEL, 160005: Fault.NO_CHANNEL,
    10008: Fault.NO_MESSAGE, 50001: Fault.NO_PERMISSION, 50013: Fault.NO_PERMISSION, 50007: Fault.NO_PERMISSION,
    160002: Fault.NO_PERMISSION, 200000: Fault.NO_PERMISSION, 240000: Fault.NO_PERMISSION, 20009: Fault.NO_PERMISSION,
    10015: Fault.NO_TOKEN, 10062: Fault.NO_TOKEN, 50027: Fault.NO_TOKEN,
    40005: Fault.TOO_LARGE, 50045: Fault.TOO_LARGE, 400001: Fault.TOO_LARGE, 40060: Fault.IS_ANSWERED,
}  # fmt: skip
_BY_STATUS = {413: Fault.TOO_LARGE, 403: Fault.NO_PERMISSION, 404: Fault.NO_MESSAGE, 401: Fault.REVOKED}


def fault(error: Exception) -> Fault:
    """Every error that is not Discord's refusal, a timeout or a broken connection, is passing."""
    if isinstance(error, discord.LoginFailure):
        return Fault.REVOKED
    if not isinstance(error, discord.HTTPException):
        return Fault.PASSING
    return _BY_CODE.get(error.code) or _BY_STATUS.get(error.status, Fault.PASSING)
