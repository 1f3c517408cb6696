"""The engine process: `python -m engine.worker FD KIND MODELS_DIR`, started by `engine.client`.

KIND is "torch", or a module that draws otherwise.

1. it dies with its parent; 2. commands come in through the inherited socket; 3. one thread draws.
"""

import ctypes
import importlib
import logging
import signal
import socket
import sys
from pathlib import Path

from engine.channel import Channel

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main() -> None:
    descriptor, kind, models_dir = sys.argv[1:4]
    _die_with_parent()
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s", stream=sys.stdout)
    channel = Channel(socket.socket(fileno=int(descriptor)))
    if kind == "torch":
        from engine.loop import TickLoop

        TickLoop(channel, Path(models_dir)).run()
    else:
        importlib.import_module(kind).run(channel)


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    main()
