"""Length-prefixed msgpack over a stream socket: four bytes of big-endian length, then the message."""

import msgspec

from engine.protocol import MAX_FRAME_BYTES, Command, Event

LENGTH_BYTES = 4

_encoder = msgspec.msgpack.Encoder()
_commands = msgspec.msgpack.Decoder(Command)
_events = msgspec.msgpack.Decoder(Event)


class BadFrame(ValueError):
    """What arrived is not a message; the stream cannot be trusted any further."""


def pack(message: Command | Event) -> bytes:
    body = _encoder.encode(message)
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


def body_length(prefix: bytes) -> int:
    """Raises BadFrame if the length is none that this project sends."""
    length = int.from_bytes(prefix, "big")
    if not 0 < length <= MAX_FRAME_BYTES:
        raise BadFrame(f"a frame of {length} bytes")
    return length


def unpack_command(body: bytes) -> Command:
    """Raises BadFrame."""
    try:
        message: Command = _commands.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadFrame(str(error)) from error
    return message


def unpack_event(body: bytes) -> Event:
    """Raises BadFrame."""
    try:
        message: Event = _events.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadFrame(str(error)) from error
    return message
