"""For a command: requests drawn from start to files. An engine is started, watched and ended."""

import asyncio
import json
import logging
import signal
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from engine.client import Died, LocalEngine
from engine.protocol import Done, Draw, Event, Failed, Generate, ImageDone, Ready

_SENTENCES = {
    "out_of_memory": "There is not enough memory for this picture: try --quality draft or fewer pictures.",
    "bad_model": "The model {model} is missing or damaged: `limner doctor` says which file.",
    "bad_request": "The model {model} cannot draw this request ({detail}).",
    "died": "The image engine stopped ({detail}): run `limner doctor`, then try again.",
    "unwritable": "{detail}: choose another --out.",
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
    """One sentence that says what to do. `exit_code`: 75 worth another try, 78 mend something first."""

    def __init__(self, kind: str, detail: str, model: str = ""):
        super().__init__(_SENTENCES.get(kind, _OTHERWISE).format(kind=kind, detail=detail, model=model))
        self.exit_code = 78 if kind in ("bad_model", "unwritable") else 75


Watch = Callable[[Event | Died], None]  # sees every event on the way


def draw(kind: str, models_dir: Path, requests: Sequence[Draw], folder: Path, watch: Watch) -> list[Drawn]:
    """Draw all `requests` together into `folder`, as `limner-<seed>.png`; an older file stays: the new one is numbered.

    Raises NotDrawn at the first failure, and KeyboardInterrupt for SIGTERM too; then no file is left.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    logging.getLogger("engine").setLevel(logging.CRITICAL)  # what went wrong is told in one sentence
    try:
        return asyncio.run(_draw(LocalEngine(kind, models_dir=models_dir), requests, folder, watch))
    except OSError as error:
        raise NotDrawn("unwritable", f"{folder} cannot be written ({error.strerror})") from None


def print_drawn(drawn: Sequence[Drawn], seconds: float, *, as_json: bool) -> None:
    if as_json:
        images = [{**asdict(each), "path": str(each.path)} for each in drawn]
        print(json.dumps({"images": images, "seconds": round(seconds, 3)}, ensure_ascii=False))
        return
    for each in drawn:
        print(f"{each.path}  seed {each.seed}  {each.width}×{each.height}")
    print(f"{seconds:.1f} s")


async def _draw(engine: LocalEngine, requests: Sequence[Draw], folder: Path, watch: Watch) -> list[Drawn]:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".limner-", dir=folder) as spool:
        await engine.start()
        try:
            images = await _images(engine, requests, Path(spool), watch)
        finally:
            await engine.close()
        return [_keep(image, folder) for image in images]


async def _images(engine: LocalEngine, requests: Sequence[Draw], spool: Path, watch: Watch) -> list[ImageDone]:
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


async def _hand_over(engine: LocalEngine, ready: Ready, job_id: str, request: Draw, spool: Path) -> None:
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
