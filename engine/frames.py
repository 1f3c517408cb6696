"""Length-prefixed msgpack over a stream socket: four bytes of big-endian length, then the message."""

from typing import TypeVar

import msgspec

from engine.protocol import MAX_FRAME_BYTES, Command, Event

LENGTH_BYTES = 4

_encoder = msgspec.msgpack.Encoder()
COMMANDS: "msgspec.msgpack.Decoder[Command]" = msgspec.msgpack.Decoder(Command)
EVENTS: "msgspec.msgpack.Decoder[Event]" = msgspec.msgpack.Decoder(Event)
Received = TypeVar("Received")


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


def unpack(body: bytes, kind: "msgspec.msgpack.Decoder[Received]") -> Received:
    """Raises BadFrame."""
    try:
        return kind.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadFrame(str(error)) from error
