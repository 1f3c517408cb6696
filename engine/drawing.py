"""Requests drawn from start to files without a bot: an engine is started, watched and ended."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.client import Died, Engine
from engine.protocol import Done, Draw, Event, Failed, Generate, ImageDone, Ready

_SENTENCES = {
    "out_of_memory": "There is not enough memory for this picture: try --quality draft or fewer pictures.",
    "bad_model": "The model {model} is missing or damaged: `limner doctor` says which file.",
    "bad_request": "The model {model} cannot draw this request ({detail}).",
    "died": "The image engine stopped ({detail}): run `limner doctor`, then try again.",
}
_OTHERWISE = "The picture could not be drawn ({kind}: {detail})."


@dataclass(frozen=True, slots=True)
class Drawn:
    """A finished file."""

    path: Path
    seed: int
    width: int  # px
    height: int  # px


class NotDrawn(Exception):
    """One sentence that says what to do. `kind` is the engine's word for the failure, or "died"."""

    def __init__(self, kind: str, detail: str, model: str):
        super().__init__(_SENTENCES.get(kind, _OTHERWISE).format(kind=kind, detail=detail, model=model))
        self.kind = kind


async def draw(
    engine: Engine, requests: Sequence[Draw], folder: Path, watch: Callable[[Event | Died], None]
) -> list[Drawn]:
    """Draw all `requests` together into `folder`, as `limner-<seed>.png`; the engine is closed afterwards.

    `watch` sees every event on the way. An older file of the same name stays: the new one gets a number.
    Raises NotDrawn at the first failure, and OSError where `folder` cannot be written; then no file is left.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".limner-", dir=folder) as spool:
        await engine.start()
        try:
            images = await _images(engine, requests, Path(spool), watch)
        finally:
            await engine.close()
        return [_keep(image, folder) for image in images]


async def _images(
    engine: Engine, requests: Sequence[Draw], spool: Path, watch: Callable[[Event | Died], None]
) -> list[ImageDone]:
    """Every image, in the order of the requests."""
    images: list[ImageDone] = []
    unfinished = {str(number): request for number, request in enumerate(requests)}
    async for event in engine.events():
        watch(event)
        match event:
            case Ready():
                for job_id, request in unfinished.items():
                    await _hand_over(engine, event, job_id, request, spool / job_id)
            case ImageDone():
                images.append(event)
            case Failed(job_id=job_id, kind=kind, detail=detail):
                raise NotDrawn(kind, detail, unfinished[job_id].model)
            case Died(reason=reason):
                raise NotDrawn("died", reason, requests[0].model)
            case Done(job_id=job_id):
                del unfinished[job_id]
            case _:
                pass
        if not unfinished:
            break
    return sorted(images, key=lambda image: (int(image.job_id), image.index))


async def _hand_over(engine: Engine, ready: Ready, job_id: str, request: Draw, spool: Path) -> None:
    if request.model not in ready.models:
        raise NotDrawn("bad_model", "no such files", request.model)
    spool.mkdir()
    await engine.generate(  # for nobody but who sits at this machine
        Generate(
            job_id=job_id,
            owner=0,
            weight=1.0,
            request=request,
            spool_dir=str(spool),
            if_flagged="keep",
            is_unchecked=True,
        )
    )


def _keep(image: ImageDone, folder: Path) -> Drawn:
    kept, number = folder / f"limner-{image.seed}.png", 1
    while kept.exists():
        number += 1
        kept = folder / f"limner-{image.seed}-{number}.png"
    Path(image.path).rename(kept)
    return Drawn(kept, image.seed, image.width, image.height)
