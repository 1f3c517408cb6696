"""The bot as a process that is started and killed, and its engine."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from pathlib import Path


class Bot:
    def __init__(self, data: Path, planted: str | None = None, **settings: str):
        self.data, self.log, self._planted = data, data.parent / "limner.log", planted
        self.settings = {
            "LIMNER_DATA": str(data),
            "LIMNER_ENGINE": "tests.fake_engine",
            "LIMNER_WEB_PORT": "0",
        } | settings
        self._warm: asyncio.subprocess.Process | None = None
        self.pid: int | None = None
        self.left_by_itself: list[int] = []  # exit codes

    async def start(self) -> None:
        if self._warm is None:
            self._warm = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.chaos.warm"),
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            )  # fmt: skip
        assert self._warm.stdin
        order = {"environment": self.settings, "log": str(self.log), "planted": self._planted}
        self._warm.stdin.write(json.dumps(order).encode() + b"\n")
        self.pid = await self._line()

    async def end(self, *, with_signal: int = signal.SIGKILL) -> int:
        """The exit code; -9 of one that was killed."""
        assert self.pid
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, with_signal)
        code = await self.wait()
        if code not in (-with_signal, 0 if with_signal == signal.SIGTERM else -with_signal):
            self.left_by_itself.append(code)
        return code

    async def wait(self) -> int:
        code, self.pid = await self._line(), None
        return code

    @property
    def is_alive(self) -> bool:
        return Path(f"/proc/{self.pid}").exists()

    def engine_pid(self) -> int | None:
        """The engine that this bot has at present."""
        for task in Path(f"/proc/{self.pid}/task").glob("*/children"):
            for child in task.read_text().split():
                if b"engine.worker" in _read(Path(f"/proc/{child}/cmdline")):
                    return int(child)
        return None

    def kill_engine(self) -> bool:
        if (pid := self.engine_pid()) is None:
            return False
        os.kill(pid, signal.SIGKILL)
        return True

    async def close(self) -> None:
        if self.pid is not None:
            await self.end()
        if self._warm and self._warm.stdin:
            self._warm.stdin.close()
            await self._warm.wait()

    async def _line(self) -> int:
        assert self._warm
        assert self._warm.stdout
        return int(await self._warm.stdout.readline())


def engines_of(data: Path) -> list[int]:
    """Engines that are left over: their models directory is inside the data directory."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        line = _read(process / "cmdline")
        if b"engine.worker" in line and str(data).encode() in line:
            found.append(int(process.name))
    return found


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:  # it has ended
        return b""
