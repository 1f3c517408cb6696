"""What people read when they ask: info, quota, queue, history, models, help. Plain text, a fact a line."""

from collections.abc import Iterable, Mapping, Sequence
from math import ceil

from bot.commands import ASKS
from bot.defaults import as_flags
from bot.jobs import Job
from bot.phrases import Quote, When, clip, counted, duration, said, units
from bot.privacy import Export, Kept
from bot.quota import bar
from bot.store import Account
from bot.store.moderation import Incident, Report
from bot.views import Info, QueueView, SettingsView
from bot.wording import LINEAGE, status_line, title
from engine.builtin.words import unknown_words
from engine.catalogue import Catalogue
from engine.protocol import Draw

FLAG_HELP: Mapping[str, str] = {
    "--ar W:H": "shape, from 1:3 to 3:1",
    "--n 1-4": "how many, each with its own seed",
    "--seed N": "the same seed draws the same picture",
    "--no words": "what it must not show",
    "--quality draft": "half the steps, small, half the price",
    "--steps N": "denoising steps",
    "--guidance N": "how closely it follows the prompt",
    "--scheduler name": "ddim, euler, euler_a, dpmpp_2m",
    "--model name": "what draws it",
    "--style name": "one of the operator's presets, or none",
    "--strength 0-1": "how much of a given picture changes",
    "--private": "only for you",
}


def info(view: Info, when: When) -> tuple[tuple[str, str], ...]:
    """Everything about one image, as labels and values."""
    job, draw, model = view.job, view.draw, view.model
    size, licence = view.image or draw, model.licence if model else ""
    rows = {
        "Job": f"`{job.id}`" + (f" image {view.image.index + 1}" if view.image else ""),
        "Came from": f"{LINEAGE.get(job.lineage.verb, 'from')} {job.lineage.job_id}" if job.lineage else "",
        "Prompt": draw.prompt or ("forgotten" if job.forgotten else "none: a scene of its own"),
        "Without": draw.negative_prompt or "",
        "Seed": str(draw.seed),
        "Model": " · ".join(part for part in (model.title if model else draw.model, job.model_hash, licence) if part),
        "Steps": f"{draw.steps} · guidance {draw.guidance_scale:g} · {draw.scheduler}",
        "Size": f"{size.width}×{size.height} · {draw.quality}",
        "Strength": _over(draw),
        "Asked": when(job.created_ms),
        "Took": duration(job.seconds) if job.seconds is not None else "",
        "Units": units(job.units),
        "Engine": job.engine or "",
        "Again": f"`{view.command}`",
        "Same picture again": _repeats(view),
    }
    return tuple((label, value) for label, value in rows.items() if value)


def _over(draw: Draw) -> str:
    if draw.init_image is None or draw.strength is None:
        return ""
    return f"{draw.strength:g} over another image{', where its mask is white' if draw.mask else ''}"


def _repeats(view: Info) -> str:
    if view.is_repeatable:
        return "yes, with this command"
    if view.draw.init_image:
        return "not from a command: it was drawn over another image"
    if view.job.engine is None or view.engine_now is None:
        return "not known until an engine has drawn it and runs"
    return f"nearly: the engine was {view.job.engine} and is {view.engine_now}"


def quota(view: Account, when: When) -> str:
    """The window with its bar, the last charges, the grants."""
    span = "Today" if view.span == "day" else f"This {view.span}"
    head = f"{span} {view.used} / {view.allowance} units {bar(view.used, view.allowance)}"
    facts = [head if view.is_limited else f"{span} {units(view.used)}, counted but not limited for you"]
    if view.reserved:
        facts.append(f"{view.reserved} reserved")
    if view.is_limited and view.next_free_ms:
        facts.append(f"next free {when(view.next_free_ms)}")
    charges = [f"`{charge.job_id}` {units(charge.units)}, {when(charge.at_ms)}" for charge in view.charges]
    grants = [
        f"+{units(grant.units)}, ends {when(grant.ends_ms)}" + (f" {said(grant.reason)}" if grant.reason else "")
        for grant in view.grants
    ]
    return "\n".join([" · ".join(facts), *charges, *grants])


def queue(view: QueueView, when: When, quote: Quote = str) -> str:
    own = [f"`{job.id}` {quote(clip(title(job), 60))} — {status_line(job, live, when)}" for job, live in view.own]
    others = f"{counted(view.others, 'job')} of other people" if view.others else ""
    work = f"about {duration(view.wait_seconds)} of work" if view.wait_seconds else ""
    rest = " · ".join(part for part in (others, work) if part)
    return "\n".join([*own, *([rest] if rest else [])]) or "Nothing waits."


def history(jobs: list[Job], when: When, quote: Quote = str) -> str:
    lines = [f"`{job.id}` {quote(clip(title(job), 60))} — {job.status}, {when(job.created_ms)}" for job in jobs]
    return "\n".join(lines) or "No pictures yet. Type `/imagine a red car on a mountain road`."


def settings(view: SettingsView) -> str:
    """One's own defaults, and which of them would be refused."""
    if not view.values:
        return "You have no defaults of your own. Set some with `/limner settings`, such as `--ar 3:2 --quality draft`."
    gone = [f"`{as_flags({flag: view.values[flag]})}` can't be used any more." for flag in sorted(view.impossible)]
    return "\n".join([f"Your defaults: `{as_flags(view.values)}`. What `/imagine` says beats them.", *gone])


ERASED = "Erased. Your messages here are removed as soon as the platform allows it; type anything and you are new."


def privacy(kept: Kept, name: str = "") -> str:
    """What is kept of a person, and for how long; `name` where somebody else asks."""
    rows, keep = kept.rows, kept.retention
    ways = "`/limner privacy export` gives you all of it as a file, `/limner privacy erase` removes it."
    return "\n".join(
        [
            f"Kept of {name or 'you'}: {counted(kept.jobs, 'job')}, {counted(kept.images, 'picture')}, "
            f"{counted(rows['ledger'], 'entry of units', 'entries of units')}, id and name, "
            f"{counted(rows['defaults'], 'setting')}, {counted(rows['incidents'], 'refused prompt')}.",
            f"Prompts are kept {_days(keep.prompts)}, pictures {_days(keep.files)}, jobs {_days(keep.jobs)}, "
            f"backups {_days(keep.backups)}.",
            *([] if name else [ways]),
        ]
    )


def exported(export: Export) -> str:
    did_not = f" {counted(export.left_out, 'picture')} did not fit: `/limner show JOB` has each."
    left = did_not if export.left_out else ""
    return f"All that is kept, as JSON, and the pictures.{left}"


def incident(it: Incident, when: When, quote: Quote = str) -> str:
    """What a person was refused, for a moderator."""
    said = quote(clip(it.prompt)) if it.prompt is not None else "its words are not kept"
    return f"B-{it.number} · {quote(it.rule)}{' · a strike' if it.is_strike else ''} · {when(it.at_ms)}\n{said}"


def tested(rule: str | None) -> str:
    return f"That is refused here: {rule}." if rule else "No rule forbids that here."


def report(it: Report, who: str, plain: Quote) -> str:
    """For the operator's channel."""
    return "\n".join(
        [
            f"R-{it.number}: `{it.job.id}` image {it.image_index + 1}, {counted(it.reports, 'person', 'people')}",
            f"{plain(title(it.job))} — {plain(who)} · {it.job.place.platform} {it.job.place.workspace_id}",
            f"`/limner-admin job show {it.job.id}` · `job delete {it.job.id}` · `block {who} --until 7d --reason …`",
        ]
    )


def reported(is_new: bool) -> str:
    return "Reported to the operator. Thank you." if is_new else "You have reported this one already."


def _days(number: int) -> str:
    return counted(number, "day") if number else "for ever"


def models(catalogue: Catalogue) -> str:
    return "\n".join(
        f"`{model.name}` {model.title} · {model.steps} steps · from {units(ceil(model.weight))} · {model.licence}"
        for model in catalogue.values()
    )


def unknown(draws: Iterable[Draw], catalogue: Catalogue) -> list[str]:
    """The words of the prompts that a model with a small vocabulary does not know."""
    told = [draw.prompt for draw in draws if (model := catalogue.get(draw.model)) and model.knows_words]
    return list(dict.fromkeys(word for each in told for word in unknown_words(each)))


def unknown_line(words: Sequence[str]) -> str:
    return f"The built-in model does not know: {', '.join(words)}" if words else ""


def help_text() -> str:
    asks = [f"`/limner {form.usage}` {form.meaning}" for form in ASKS.values()]
    options = [f"`{flag}` {meaning}" for flag, meaning in FLAG_HELP.items()]
    first = ["`/imagine a red car on a mountain road --ar 16:9`", "`{red, blue}` makes one job of each, at most 8."]
    return "\n".join([*first, *options, *asks])
