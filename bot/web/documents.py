"""What the page and programs read: jobs, quotas and plans as JSON. Pure; `<t:MS>` in a line stands for a moment."""

import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from bot import answers, prompt, quota, wording
from bot.commands import Imagine, read_command
from bot.errors import Refused
from bot.feed import Live
from bot.jobs import Image, Job
from bot.phrases import units
from bot.store import Account
from bot.views import Info
from engine.catalogue import Catalogue, Model
from engine.protocol import Draw, Ready

Document = dict[str, Any]


def moment(ms: int) -> str:
    """Each reader turns it into its own way of telling time."""
    return f"<t:{ms}>"


def job(it: Job, live: Live | None, parent: Job | None) -> Document:
    return {
        "id": it.id,
        "status": it.status,
        "root": it.root_id,
        "request": _request(it),
        "images": [_image(it, image) for image in it.images],
        "lineage": it.lineage and {**msgspec.to_builtins(it.lineage), "line": wording.lineage_line(it, parent or it)},
        "live": live and _live(it, live),
        "line": wording.status_line(it, live, moment),
        "actions": msgspec.to_builtins(wording.actions(it)),
        "units": it.units,
        "is_private": it.is_private,
        "failure": it.failure,
        "created_ms": it.created_ms,
        "started_ms": it.started_ms,
        "finished_ms": it.finished_ms,
    }


def _request(it: Job) -> Document:
    kept = ("prompt", "negative_prompt", "model", "seed", "count", "steps", "guidance_scale", "scheduler", "strength")
    return {
        "kind": "draw" if isinstance(it.request, Draw) else "upscale",
        **{name: getattr(it.draw, name) for name in kept},
        **{name: getattr(it.request, name) for name in ("width", "height", "quality")},
    }


def _image(it: Job, image: Image) -> Document:
    there = image.status == "done"
    base = f"/images/{it.id}/{image.index}"
    kept = ("index", "seed", "status", "width", "height", "sha256", "is_flagged")
    return {
        **{name: getattr(image, name) for name in kept},
        "url": f"{base}.png" if there else None,
        "jpeg_url": f"{base}.jpg" if there else None,
        "strip_url": f"{base}.strip.jpg" if there and isinstance(it.request, Draw) else None,
    }


def _live(it: Job, live: Live) -> Document:
    previews = {i: f"/previews/{it.id}/{i}.jpg?v={zlib.crc32(jpeg):x}" for i, jpeg in live.previews.items()}
    kept = ("stage", "step", "steps", "percent", "position", "starts_at_ms", "done_at_ms")
    return {**{name: getattr(live, name) for name in kept}, "previews": previews}


def quota_view(view: Account) -> Document:
    kept = ("used", "reserved", "allowance", "is_limited", "next_free_ms")
    return {**{name: getattr(view, name) for name in kept}, "lines": answers.quota(view, moment).splitlines()}


def info(view: Info) -> Document:
    facts = [row for row in answers.info(view, moment) if row[0] != "Again"]
    return {"facts": facts, "command": view.command, "is_repeatable": view.is_repeatable}


def model(it: Model, ready: Ready | None) -> Document:
    kept = ("name", "title", "licence", "native_px", "steps", "max_steps", "guidance_scale", "scheduler")
    return {**{name: getattr(it, name) for name in kept}, "is_here": ready is not None and it.name in ready.models}


def engine(ready: Ready | None) -> Document:
    if ready is None:
        return {"state": "starting"}
    return {"state": "ready", "device": ready.device, "device_name": ready.device_name, "version": ready.version}


def sentence(it: wording.Sentence) -> Document:
    return dict(msgspec.to_builtins(it))


def plan(text: str, models: Catalogue, parsed: Callable[..., prompt.Parsed]) -> Document:
    """What sending `text` would do: its price, the words that its model does not know, or why it would be refused."""
    empty: Document = {"jobs": 0, "units": 0, "line": "", "unknown": [], "unknown_line": "", "problem": None}
    try:
        asked = read_command(text)
        if not isinstance(asked, Imagine) or not asked.text.strip():
            return empty
        draws = parsed(asked).draws
    except Refused as error:
        return {**empty, "problem": sentence(wording.refusal(error, moment))}
    price = sum(quota.price(draw, models[draw.model]) for draw in draws)
    unknown = answers.unknown(draws, models)
    return {
        "jobs": len(draws),
        "units": price,
        "line": _plan_line(draws, price),
        "unknown": unknown,
        "unknown_line": answers.unknown_line(unknown),
        "problem": None,
    }


def _plan_line(draws: Sequence[Draw], price: int) -> str:
    count = sum(draw.count for draw in draws)
    sizes: Mapping[str, None] = dict.fromkeys(f"{draw.width}×{draw.height}" for draw in draws)
    return f"{f'{count} pictures · ' if count > 1 else ''}{', '.join(sizes)} · {units(price)}"
