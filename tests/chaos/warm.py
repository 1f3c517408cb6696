"""Bots that start quickly: everything is imported once, and each bot is a fork of that.

A line of JSON on standard input starts one; its process id and then its exit code come back as lines.
"""

import ctypes
import json
import logging
import os
import signal
import sys

from tests.chaos import boundaries
from tests.chaos.planted import FAULTS

_PR_SET_PDEATHSIG = 1


def main() -> None:
    import bot.cli
    import bot.discord.connection
    import bot.serve  # noqa: F401

    for line in sys.stdin:
        order = json.loads(line)
        if (pid := os.fork()) == 0:
            _become_bot(**order)
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


def _become_bot(environment: dict[str, str], log: str, planted: str | None) -> None:
    code = 1
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        for descriptor, target in ((os.open(os.devnull, os.O_RDONLY), 0), (output, 1), (output, 2)):
            os.dup2(descriptor, target)
        os.environ.update(environment)
        if os.environ.get("LIMNER_TEST_DEBUG"):
            logging.basicConfig(level=logging.DEBUG)
        boundaries.install()
        if planted:
            FAULTS[planted]()
        sys.argv = ["limner", "run"]
        from bot.cli import main as limner

        limner()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
