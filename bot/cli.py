"""The command `limner`. Exit codes: 0 ok, 2 refused or misused, 75 worth another try, 78 mend something first."""

import asyncio
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from bot.errors import CannotStart, InUse, Refused, Unavailable
from bot.settings import Settings, read_settings
from engine import VERSION
from engine.protocol import MAX_SEED, Draw

REFUSED, TEMPORARY, CONFIGURATION, INTERRUPTED = 2, 75, 78, 130

# Each command loads what it needs when it runs, so that the page of `limner run` is up in a moment.
app = typer.Typer(
    help="/imagine for Discord and Slack on your own GPU, and a page on this machine.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


def main() -> None:
    app(prog_name="limner")


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        print(f"limner {VERSION}")
        raise typer.Exit


@app.callback()
def _limner(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None: ...


@app.command()
def run() -> None:
    """Start Limner: the engine, the queue and the local page."""
    from bot import logs
    from bot.serve import serve

    with _told() as settings:
        logs.set_up(settings.log_level, settings.secrets)
        try:
            asyncio.run(serve(settings))
        except (Unavailable, ExceptionGroup) as error:
            raise _worth_another_try(error) from error


def _worth_another_try(error: Exception) -> Exception:
    """A disk that was full, or a lock, at a moment when nothing could wait for it; any other error as it is."""
    found = error
    while isinstance(found, ExceptionGroup) and found.split(Unavailable)[1] is None:
        found = found.exceptions[0]
    if not isinstance(found, Unavailable):
        return error
    return CannotStart(f"Limner cannot work now ({found.reason}): mend that and start it again.", exit_code=TEMPORARY)


@app.command()
def imagine(
    prompt: Annotated[list[str], typer.Argument(help="What to draw; flags may stand in it, as in chat.")],
    no: Annotated[str | None, typer.Option(metavar="WORDS", help="What must not be in the picture.")] = None,
    ar: Annotated[str | None, typer.Option(metavar="W:H", help="Shape, from 1:3 to 3:1.")] = None,
    n: Annotated[str | None, typer.Option("--n", "-n", metavar="1-4", help="How many, each with its own seed.")] = None,
    seed: Annotated[str | None, typer.Option("--seed", "-s", metavar="N", help=f"0 to {MAX_SEED}.")] = None,
    quality: Annotated[str | None, typer.Option(metavar="full|draft", help="2048 px, or small and quick.")] = None,
    steps: Annotated[str | None, typer.Option(metavar="N", help="Denoising steps.")] = None,
    guidance: Annotated[str | None, typer.Option(metavar="N", help="How closely it follows the prompt.")] = None,
    scheduler: Annotated[str | None, typer.Option(metavar="NAME", help="ddim, euler, euler_a or dpmpp_2m.")] = None,
    model: Annotated[str | None, typer.Option(metavar="NAME", help="What draws it: see `limner models`.")] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the files go.")] = Path(),
    as_json: Json = False,
) -> None:
    """Draw into files, without a bot or a quota. Prints each with its seed."""
    options = {
        "negative": no, "aspect": ar, "count": n, "seed": seed, "quality": quality, "steps": steps,
        "guidance": guidance, "scheduler": scheduler, "model": model,
    }  # fmt: skip
    from bot.console import watching
    from engine.drawing import NotDrawn, draw, print_drawn

    started = time.monotonic()
    with _told(as_json) as settings:
        draws = _read_prompt(" ".join(prompt), options, settings)
        try:
            with watching(draws, quiet=as_json) as watch:
                drawn = draw(settings.engine, settings.models_path, draws, out, watch)
        except NotDrawn as error:
            raise CannotStart(str(error), exit_code=error.exit_code) from None
        print_drawn(drawn, time.monotonic() - started, as_json=as_json)


def _read_prompt(text: str, options: Mapping[str, str | None], settings: Settings) -> tuple[Draw, ...]:
    from bot import answers, prompt, words
    from bot.console import complain
    from bot.errors import BadWords
    from engine.catalogue import models_here, read_catalogue

    catalogue = models_here(read_catalogue(), settings.models_path)
    known = prompt.Known(catalogue, settings.model, lambda: secrets.randbelow(MAX_SEED + 1), options=options)
    draws = prompt.parse(text, known).draws
    for draw in draws:
        if found := words.forbidden(draw.prompt, draw.negative_prompt or "", is_over_a_given_picture=False):
            raise BadWords(words.FORBIDDEN[found], is_final=True)
    if unknown := answers.unknown(draws, catalogue):
        complain(answers.unknown_line(unknown))
    return draws


models_app = typer.Typer(invoke_without_command=True, rich_markup_mode=None)
app.add_typer(models_app, name="models")


@models_app.callback()
def models(context: typer.Context, as_json: Json = False) -> None:
    """What can draw here; `models add` brings more."""
    if context.invoked_subcommand:
        return
    from bot.console import print_json, print_table
    from engine.catalogue import read_catalogue

    with _told(as_json) as settings:
        known = [(model, model.is_here(settings.models_path)) for model in read_catalogue().values()]
    if as_json:
        names = ("name", "title", "licence", "native_px", "steps", "weight")
        print_json({"models": [{name: getattr(m, name) for name in names} | {"is_here": here} for m, here in known]})
        return
    places = ["here" if here else f"limner models add {m.name}" for m, here in known]
    rows = [
        [m.name, m.title, place, f"{m.native_px} px", f"×{m.weight:g}", m.licence]
        for (m, _), place in zip(known, places, strict=True)
    ]
    print_table(["name", "", "weights", "drawn at", "units", "licence"], rows)


@models_app.command("add")
def add_model(name: Annotated[str, typer.Argument(help="One of `limner models`.")]) -> None:
    """Fetch a model from the model hub into the models directory."""
    from engine.catalogue import read_catalogue
    from engine.fetching import NotFetched, fetch

    with _told() as settings:
        model = read_catalogue().get(name)
        if model is None:
            raise CannotStart(f"No model is called {name}: `limner models` lists them.", exit_code=REFUSED)
        print(f"{model.title}, {model.download_bytes / 1e9:.1f} GB, licence: {model.licence}")
        try:
            fetch(model, settings.models_path)
        except NotFetched as error:
            raise CannotStart(str(error), exit_code=TEMPORARY) from None
        print(f"It is here. Draw with it: limner imagine --model {name} PROMPT; for everybody: LIMNER_MODEL={name}")


@app.command()
def backup(as_json: Json = False) -> None:
    """Copy the database and check the copy. Also while Limner runs, which does so itself each hour."""
    from bot.store.backup import back_up

    with _told(as_json) as settings:
        made = back_up(settings.data / "limner.db", settings.data / "backups")
        _report(f"{made}: whole, and its ledger adds up", {"backup": str(made)}, as_json=as_json)


@app.command()
def restore(
    file: Annotated[Path | None, typer.Argument(help="A backup; without it, the newest.")] = None, as_json: Json = False
) -> None:
    """Put a backup in the database's place. Limner must be stopped; the database that was there is kept beside it."""
    from bot.store import backup

    with _told(as_json) as settings:
        chosen = file or next(iter(backup.backups(settings.data / "backups")), None)
        if chosen is None:
            raise CannotStart(f"There is no backup in {settings.data / 'backups'}: name one.", exit_code=REFUSED)
        aside = backup.restore(chosen, settings.data / "limner.db")
    kept = f"; what was there is now {aside}" if aside else ""
    figures = {"restored": str(chosen), "aside": aside and str(aside)}
    _report(f"{chosen} is the database now{kept}", figures, as_json=as_json)


def _report(line: str, figures: Mapping[str, object], *, as_json: bool) -> None:
    from bot.console import print_json

    if as_json:
        print_json(figures)
    else:
        print(line)


@app.command()
def quota(as_json: Json = False) -> None:
    """The units that the local page has used. Nothing limits it."""
    from bot import answers
    from bot.phrases import relative
    from bot.store.inspection import account_of
    from bot.web.server import OPERATOR

    now_ms = time.time_ns() // 10**6
    with _told(as_json) as settings:
        account = account_of(settings.data / "limner.db", OPERATOR, settings.limits, now_ms)
    _report(answers.quota(account, relative(now_ms)), asdict(account), as_json=as_json)


@app.command("slack-manifest")
def slack_manifest(
    url: Annotated[str, typer.Option(metavar="URL", help="Where Slack is to send to, for HTTP: https://…")] = "",
    user_groups: Annotated[bool, typer.Option("--user-groups", help="Ask for allowances of user groups.")] = False,
    history: Annotated[bool, typer.Option("--history", help="Ask to look up messages that may be there.")] = False,
) -> None:
    """What the Slack app is created from. Its commands are named as they are set."""
    from bot.slack.manifest import manifest

    with _told() as settings:
        more = ["user groups"] * user_groups + ["history"] * history
        print(manifest(settings, url, more=more), end="")


@app.command(context_settings={"ignore_unknown_options": True, "help_option_names": ["--help"]})
def admin(
    words: Annotated[list[str] | None, typer.Argument(help="An order, as after /limner-admin in chat.")] = None,
    as_json: Json = False,
) -> None:
    """Give an order as the operator. Whether Limner runs or not; `limner admin help` lists them."""
    from bot.console import print_answer
    from bot.orders import as_text
    from bot.remote import ask
    from bot.serve import give_order

    order = as_text(words[0], tuple(words[1:])) if words else "help"
    with _told(as_json) as settings:
        try:
            answer = asyncio.run(give_order(settings, order))
        except InUse:
            answer = ask(settings, order)
        print_answer(answer.text, answer.files, as_json=as_json)


@app.command()
def doctor(as_json: Json = False) -> None:
    """Say what is wrong here, and how to mend it. Looks at the machine, the settings, the database and the models."""
    from bot.console import print_check, print_json
    from bot.doctor import examine

    checks = []
    with _told(as_json) as settings:
        for check in examine(settings):
            checks.append(check)
            if not as_json:
                print_check(check.name, check.state, check.found, check.fix)
    is_fit = all(check.state != "fail" for check in checks)
    if as_json:
        print_json({"ok": is_fit, "checks": [asdict(check) for check in checks]})
    if not is_fit:
        raise typer.Exit(CONFIGURATION)


@contextmanager
def _told(as_json: bool = False) -> Iterator[Settings]:
    """The settings to work with; whatever forbids the work is told in one sentence, with its exit code."""
    try:
        yield read_settings()
    except Refused as error:
        from bot import wording

        sentence = wording.refusal(error)
        _tell(error.code, sentence.title, sentence.body, as_json=as_json)
        raise typer.Exit(REFUSED) from None
    except CannotStart as error:
        _tell("cannot_start", str(error), "", as_json=as_json)
        raise typer.Exit(error.exit_code) from None
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None


def _tell(code: str, title: str, body: str, *, as_json: bool) -> None:
    from bot.console import complain, print_json

    if as_json:
        print_json({"error": {"code": code, "title": title, "body": body}})
    else:
        complain(f"{title.rstrip('.')}. {body}".rstrip())
