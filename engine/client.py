"""The bot's end of the engine: start the child, talk to it, notice when it is gone, start it again.

The child inherits one end of a socket pair and nothing else: no tokens in its environment, no
database. It is judged by progress, not by its process id: while it has jobs, frames must come.
"""

import asyncio
import contextlib
import logging
import os
import random
import signal
import socket
import statistics
import sys
import time
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from engine.frames import EVENTS, LENGTH_BYTES, BadFrame, body_length, pack, unpack
from engine.protocol import Cancel, Cancelled, Command, Done, Event, Failed, Generate, Load, Progress, Ready, Shutdown

log = logging.getLogger("engine")

LOADING_SECONDS = 600.0  # a large model from a slow disk
HANG_SECONDS = 30.0
HANG_GAPS = 10  # or this many times the median gap between two frames, where that is longer
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 60.0
DEATHS_IN_A_ROW = 3  # and nothing drawn between them: somebody should look
_PASSED_ON = (
    "PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "PYTHONPATH", "XDG_CACHE_HOME",
    "CUDA_VISIBLE_DEVICES", "CUDA_HOME", "NVIDIA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "OMP_WAIT_POLICY",
    "MKL_NUM_THREADS", "TORCHINDUCTOR_CACHE_DIR", "PYTORCH_CUDA_ALLOC_CONF", "LIMNER_FAKE_FAULTS",
    "LIMNER_FAKE_STEP_SECONDS",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Died:
    """The child is gone and has forgotten `job_ids`; it is started again after a pause."""

    reason: str
    job_ids: tuple[str, ...]


class NotReady(Exception):
    """The engine takes no jobs now: wait for its next Ready."""


class LocalEngine:
    """An engine in a child process on this machine; `kind` is "torch", or a module that draws otherwise.

    `start` returns at once; what happens comes out of `events`, which has one consumer.
    """

    def __init__(self, kind: str = "torch", *, models_dir: Path | None = None, hang_seconds: float = HANG_SECONDS):
        self.ready: Ready | None = None
        self._kind, self._models_dir, self._hang_seconds = kind, models_dir or Path("models"), hang_seconds
        self._events: asyncio.Queue[Event | Died] = asyncio.Queue()
        self._jobs: set[str] = set()
        self._writer: asyncio.StreamWriter | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._loading, self._has_drawn = True, False  # of this life
        self._last_frame = time.monotonic()
        self._gaps: deque[float] = deque(maxlen=50)
        self._last_words: deque[str] = deque(maxlen=20)

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    async def start(self) -> None:
        if self._supervisor is None:
            self._supervisor = asyncio.create_task(self._supervise(), name="engine-supervisor")

    async def generate(self, command: Generate) -> None:
        """Hand the job over. Raises NotReady if there is no engine to take it."""
        if self.ready is None:
            raise NotReady
        if not self._jobs:
            self._last_frame = time.monotonic()
        self._jobs.add(command.job_id)
        await self._send(command)

    async def cancel(self, job_id: str) -> None:
        """Ask for the job to end; Cancelled follows, or Done if it was faster."""
        if job_id in self._jobs:
            await self._send(Cancel(job_id=job_id))

    async def load(self, model: str) -> None:
        """Ask for the model before anybody needs it. A job that comes meanwhile may wait as long as loading takes."""
        self._loading = True
        await self._send(Load(model=model))

    async def events(self) -> AsyncIterator[Event | Died]:
        while True:
            yield await self._events.get()

    async def close(self, grace_seconds: float = 5) -> None:
        """End the child: asked first, then killed. Its unfinished jobs are simply left."""
        await self._send(Shutdown())
        if self._supervisor is None:
            return
        if self._process:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace_seconds):
                    await self._process.wait()
        self._supervisor.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._supervisor
        self._supervisor = None

    async def _send(self, command: Command) -> None:
        if self._writer is None:
            return
        with contextlib.suppress(ConnectionError):  # the reader notices too, and reports the death
            self._writer.write(pack(command))
            await self._writer.drain()

    async def _supervise(self) -> None:
        deaths = 0
        while True:
            try:
                reason = await self._live()
            except Exception as error:  # no process, memory or file to be had: that may pass
                reason = f"it cannot be started or heard ({error!r})"
            deaths = 1 if self._has_drawn else deaths + 1  # what draws between its deaths is no broken engine
            pause = random.uniform(0.5, 1.0) * min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** (deaths - 1))
            log.error("the engine is gone: %s; starting it again in %.1f s", reason, pause)
            if deaths >= DEATHS_IN_A_ROW:
                log.error("it has died %d times in a row: `limner doctor` looks for the reason", deaths)
            self._events.put_nowait(Died(reason, tuple(sorted(self._jobs))))
            self._jobs.clear()
            await asyncio.sleep(pause)

    async def _live(self) -> str:
        """One life of the child, from its start to the reason for its end."""
        self._last_words.clear()
        self._loading, self._has_drawn = True, False
        ours, theirs = socket.socketpair()
        try:
            self._process = process = await self._spawn(theirs)
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        reader, self._writer = await asyncio.open_connection(sock=ours, limit=2**20)
        self._last_frame = time.monotonic()
        listening = asyncio.create_task(self._log_output(process))
        try:
            async with asyncio.TaskGroup() as group:
                watch = group.create_task(self._watch())
                reason = await self._read(reader, process)
                watch.cancel()
            return reason
        finally:
            self.ready = None
            self._writer.close()
            self._writer = None
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            await listening

    async def _spawn(self, theirs: socket.socket) -> asyncio.subprocess.Process:
        command = [sys.executable, "-m", "engine.worker", str(theirs.fileno()), self._kind, str(self._models_dir)]
        environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        environment |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
        environment["PYTHONUNBUFFERED"] = "1"
        return await asyncio.create_subprocess_exec(
            *command,
            pass_fds=[theirs.fileno()],
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for the bot, which ends the engine in its own time
        )

    async def _read(self, reader: asyncio.StreamReader, process: asyncio.subprocess.Process) -> str:
        try:
            while True:
                length = body_length(await reader.readexactly(LENGTH_BYTES))
                self._note(unpack(await reader.readexactly(length), EVENTS))
        except BadFrame as error:
            return f"it sent something that is no message ({error})"
        except (asyncio.IncompleteReadError, ConnectionError):
            return await self._epitaph(process)

    async def _epitaph(self, process: asyncio.subprocess.Process) -> str:
        try:
            async with asyncio.timeout(2):
                code = await process.wait()
        except TimeoutError:
            return "it closed its socket"
        if self._hung:
            return f"no progress for {self._hang_limit():.0f} s"
        words = f": {self._last_words[-1]}" if self._last_words else ""
        if code < 0:
            names = {each.value: each.name for each in signal.Signals}
            return f"killed by {names.get(-code, f'signal {-code}')}{words}"  # those of real time have no names
        return f"left with status {code}{words}"

    def _note(self, event: Event) -> None:
        now = time.monotonic()
        if self._jobs and not self._loading:
            self._gaps.append(now - self._last_frame)
        self._last_frame = now
        match event:
            case Ready():
                self.ready, self._loading = event, False
            case Progress(stage=stage):
                self._loading = stage == "loading"
            case Done(job_id=job_id) | Failed(job_id=job_id) | Cancelled(job_id=job_id):
                self._jobs.discard(job_id)
                self._has_drawn |= isinstance(event, Done)
            case _:
                pass
        self._events.put_nowait(event)

    def _hang_limit(self) -> float:
        if self._loading:
            return LOADING_SECONDS
        usual = statistics.median(self._gaps) if self._gaps else 0.0
        return max(self._hang_seconds, HANG_GAPS * usual)

    @property
    def _hung(self) -> bool:
        busy = bool(self._jobs) or self.ready is None
        return busy and time.monotonic() - self._last_frame > self._hang_limit()

    async def _watch(self) -> None:
        while not self._hung:  # noqa: ASYNC110 - it watches the clock: silence sets no event
            await asyncio.sleep(min(1.0, self._hang_seconds / 4))
        if self._process:
            self._process.kill()

    async def _log_output(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout
        while True:
            try:
                line = await process.stdout.readline()
            except ValueError:  # longer than asyncio reads at once: so much of it is left out
                continue
            if not line:
                return
            text = line.decode(errors="replace").rstrip()
            if text:
                self._last_words.append(text)
                log.info("%s", text)
