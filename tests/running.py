"""`limner run` as a process of its own, spoken to over HTTP, as a program would."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp

PATIENCE_SECONDS = 120
OVER = ("delivered", "failed", "cancelled", "undeliverable")


class Limner:
    """One data directory, on which the process is started, stopped and killed.

    `program` is what Python is given to run.
    """

    def __init__(
        self, data: Path, engine: str = "torch", *, program: Sequence[str] = ("-m", "bot", "run"), **settings: str
    ):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.data, self._engine, self._program, self._settings = data, engine, program, settings
        self._process: asyncio.subprocess.Process | None = None
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Returns once the page answers."""
        self._session = self._session or aiohttp.ClientSession(self.url)
        environment = os.environ | {
            "LIMNER_DATA": str(self.data), "LIMNER_WEB_PORT": str(self.port), "LIMNER_ENGINE": self._engine,
        } | self._settings  # fmt: skip
        with (self.data.parent / "limner.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, *self._program, env=environment, stdout=log, stderr=log
            )
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                try:
                    await self.get("/healthz")
                    return
                except aiohttp.ClientConnectionError:
                    await asyncio.sleep(0.05)

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    async def end(self, with_signal: int = signal.SIGTERM) -> int:
        """The exit code of the process after the signal."""
        assert self._process
        if self._process.returncode is None:
            self._process.send_signal(with_signal)
        return await self._process.wait()

    async def wait(self) -> int:
        """The exit code of a process that ends by itself."""
        assert self._process
        return await self._process.wait()

    async def close(self) -> None:
        await self.end(signal.SIGKILL)
        if self._session:
            await self._session.close()

    async def get(self, path: str) -> Any:
        assert self._session
        async with self._session.get(path) as answer:
            return await (answer.json() if answer.content_type == "application/json" else answer.read())

    async def post(self, path: str, **body: object) -> Any:
        assert self._session
        async with self._session.post(path, json=body) as answer:
            return await answer.json()

    async def job(self, job_id: str) -> Any:
        return (await self.get(f"/api/jobs/{job_id}"))["job"]

    async def when(self, job_id: str, *statuses: str) -> Any:
        """The job, once it has one of these statuses."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (job := await self.job(job_id))["status"] not in statuses:
                assert job["status"] not in OVER, job
                await asyncio.sleep(0.05)
        return job
