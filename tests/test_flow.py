"""The whole flow with the built-in model: a sentence goes in over HTTP, a 2048 px file comes back."""

import asyncio
import io
import signal
from collections.abc import AsyncIterator

import numpy as np
import pytest
from PIL import Image

from bot.store import open_store
from tests.running import PATIENCE_SECONDS, Limner


@pytest.fixture
async def limner(tmp_path) -> AsyncIterator[Limner]:
    limner = Limner(tmp_path / "data")
    await limner.start()
    yield limner
    await limner.close()


async def first_picture(limner: Limner) -> dict:
    """The one that Limner draws by itself on its very first start."""
    async with asyncio.timeout(PATIENCE_SECONDS):  # the page answers a moment before it is asked for
        while True:
            match (await limner.get("/api/jobs"))["jobs"]:
                case [job]:
                    return await limner.when(job["id"], "delivered")
            await asyncio.sleep(0.05)


async def draw(limner: Limner, text: str) -> str:
    return (await limner.post("/api/commands", text=text))["job"]["id"]


async def pixels(limner: Limner, image: dict) -> np.ndarray:
    with Image.open(io.BytesIO(await limner.get(image["url"]))) as file:
        return np.asarray(file).astype(float)


async def test_a_sentence_comes_back_as_a_2048_px_picture_with_its_seed(limner):
    await first_picture(limner)
    job = await limner.when(await draw(limner, "/imagine a red car on a mountain road --seed 7"), "delivered")
    [image] = job["images"]
    assert (image["seed"], image["width"], image["height"]) == (7, 2048, 2048)
    assert (await pixels(limner, image)).shape == (2048, 2048, 3)
    assert "seed 7" in job["line"]
    quota = (await limner.get("/api/quota"))["quota"]
    assert (quota["used"], quota["reserved"]) == (4, 0)  # this picture and the first


async def test_the_same_seed_gives_the_same_picture_in_company(limner):
    await first_picture(limner)
    text = "/imagine a brown dog on the beach at sunset --seed 11 --steps 10 --ar 3:2"
    alone = await limner.when(await draw(limner, text), "delivered")
    others = [await draw(limner, f"/imagine a cat --seed {seed} --ar 3:2") for seed in range(3)]
    company = await limner.when(await draw(limner, text), "delivered")
    for other in others:
        await limner.when(other, "delivered")
    difference = await pixels(limner, alone["images"][0]) - await pixels(limner, company["images"][0])
    psnr = 10 * np.log10(255**2 / max(1e-9, np.square(difference).mean()))
    assert psnr >= 40  # dB: bfloat16 rounds differently in another batch


async def test_a_killed_bot_goes_on_where_it_was_and_charges_once(limner, tmp_path):
    job_ids = [await draw(limner, f"/imagine a house in the snow --seed {seed}") for seed in (1, 2)]
    await limner.end(signal.SIGKILL)
    await limner.start()
    jobs = [await limner.when(job_id, "delivered") for job_id in job_ids]
    assert [job["images"][0]["seed"] for job in jobs] == [1, 2]
    again = await limner.post(f"/api/jobs/{job_ids[0]}/reroll", index=0)
    assert (await limner.when(again["job"]["id"], "delivered"))["lineage"]["job_id"] == job_ids[0]
    assert await limner.end(signal.SIGTERM) == 0
    store = await open_store(tmp_path / "data")
    assert await store.ledger_problems() == []
    await store.close()
