"""A disk of ninety megabytes that another program fills, under the real process."""

import asyncio
import os
import shutil
import subprocess

import pytest

from tests.running import Limner

ON_A_SMALL_DISK = """
import os, sys
mount = 'mount -t tmpfs -o size=90m,mode=700 none "$LIMNER_DATA" && exec "$0" -m bot run'
os.execvp("unshare", ["unshare", "-Urm", "sh", "-c", mount, sys.executable])
"""


def may_mount():
    if shutil.which("unshare") is None:
        return False
    return (
        subprocess.run(["unshare", "-Urm", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True).returncode == 0
    )


pytestmark = pytest.mark.skipif(not may_mount(), reason="this machine lets nobody mount a disk of their own")


@pytest.fixture
async def limner(tmp_path):
    (tmp_path / "data").mkdir()
    limner = Limner(tmp_path / "data", "tests.fake_engine", program=("-c", ON_A_SMALL_DISK))
    await limner.start()
    yield limner
    await limner.close()


def fill(limner):
    """Every byte, as another program would; returns what takes them back."""
    file = f"/proc/{limner.pid}/root{limner.data}/filler"
    with open(file, "wb", buffering=0) as filler:
        try:
            while filler.write(b"\0" * 65536):
                pass
        except OSError:
            pass
    return lambda: os.unlink(file)


async def ask(limner, text="a red car"):
    return await limner.post("/api/commands", text=f"/imagine {text} --quality draft")


async def asked_until(limner, said):
    """Limner looks at the disk a few times a second."""
    async with asyncio.timeout(10):
        while said not in (answer := await ask(limner)):  # noqa: ASYNC110 - it looks at another process
            await asyncio.sleep(0.1)
    return answer[said]


async def test_a_full_disk_refuses_with_the_reason_and_is_worked_on_again_when_there_is_room(limner):
    await limner.when((await ask(limner))["job"]["id"], "delivered")
    give_back = fill(limner)
    refused = await asked_until(limner, "error")
    assert refused["code"] == "unavailable"
    assert "disk is full" in str(refused)
    give_back()
    await limner.when((await asked_until(limner, "job"))["id"], "delivered")
    assert await limner.end() == 0


async def test_what_was_accepted_before_the_disk_was_full_ends_and_adds_up(limner):
    asked = [(await ask(limner, f"a red car --seed {seed}"))["job"]["id"] for seed in range(8)]
    give_back = fill(limner)
    await asyncio.sleep(1.5)
    give_back()
    for job_id in asked:
        await limner.when(job_id, "delivered", "failed")
    assert (await limner.get("/api/quota"))["quota"]["reserved"] == 0
