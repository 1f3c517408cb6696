"""The child's end of the socket: events go out from any thread, commands come in through a queue."""

import os
import queue
import socket
import threading

from engine.frames import COMMANDS, LENGTH_BYTES, BadFrame, body_length, pack, unpack
from engine.protocol import Event


class Channel:
    def __init__(self, stream: socket.socket):
        self._stream = stream
        self._sending = threading.Lock()
        self.commands: queue.Queue[object] = queue.Queue()  # the drawing side puts its own messages in too
        threading.Thread(target=self._read, name="commands", daemon=True).start()

    def send(self, event: Event) -> None:
        with self._sending:
            self._stream.sendall(pack(event))

    def _read(self) -> None:
        """Without the bot there is nobody to draw for, so the end of the stream ends the process."""
        try:
            while True:
                self.commands.put(unpack(self._exactly(body_length(self._exactly(LENGTH_BYTES))), COMMANDS))
        except (EOFError, OSError, BadFrame):
            os._exit(0)

    def _exactly(self, count: int) -> bytes:
        parts = bytearray()
        while len(parts) < count:
            part = self._stream.recv(count - len(parts))
            if not part:
                raise EOFError
            parts += part
        return bytes(parts)
