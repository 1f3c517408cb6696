"""Does somebody who does not know the prompts see in the pictures what was asked for?

`python -m recipe.own_words FOLDER` draws the prompts of `own_words.txt`, which nobody took from the grammar, as
numbered pictures in an order of their own, with a form for what they show; `--score` counts what was named right in it.
"""

import argparse
import itertools
import random
from pathlib import Path

from .captions import Caption
from .evaluate import MODEL, Shares, draw_prompts, mean, shares
from .export import WEIGHTS, load_pipeline
from .sheet import enlarged, sheet
from .spec import VALUES

PROMPTS = Path(__file__).parent / "own_words.txt"
PER_SHEET = 20
FORM = "answers.txt"


def own_words() -> list[Caption]:
    """In the order in which they are numbered, which says nothing."""
    lines = PROMPTS.read_text("utf-8").splitlines()
    told = [Caption(text, _named(named)) for text, _, named in (line.rpartition(" | ") for line in lines)]
    random.Random(60).shuffle(told)
    return told


def _named(text: str) -> dict[str, str]:
    """ "subject=dog, colour=brown" → attributes. Raises ValueError for what is no attribute or none of its values."""
    named = {}
    for part in filter(str.strip, text.split(",")):
        name, _, value = (each.strip() for each in part.partition("="))
        if value not in VALUES.get(name, ()):
            raise ValueError(f"{part.strip()} is not of the form attribute=value, or no such value")
        named[name] = value
    return named


def form(count: int) -> str:
    values = [f"# {name}: {', '.join(each)}" for name, each in VALUES.items()]
    head = ["# What does each picture show? As in: 7: subject=dog, colour=brown, setting=snow field", *values]
    return "\n".join([*head, *(f"{number}: " for number in range(1, count + 1))]) + "\n"


def score(told: list[Caption], answers: str) -> Shares:
    """Of what the prompts name, and of pictures, the shares that were named right. Raises ValueError."""
    seen: list[dict[str, str]] = [{} for _ in told]
    for line in answers.splitlines():
        if line.strip() and not line.startswith("#"):
            number, _, named = line.partition(":")
            seen[int(number) - 1] = _named(named)
    right = [each.named.items() & answer.items() for each, answer in zip(told, seen, strict=True)]
    main = [{name for name in each.named if name.rstrip(" 012") in ("subject", "shape")} for each in told]
    return shares(told, seen) | {
        "pictures: subject, or all shapes": mean(
            [names <= dict(r).keys() for names, r in zip(main, right, strict=True)]
        ),
        "pictures: everything": mean([len(r) == len(each.named) for each, r in zip(told, right, strict=True)]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m recipe.own_words", description=__doc__)
    parser.add_argument("folder", type=Path, help="where the sheets and the form are, or will be")
    parser.add_argument("--score", action="store_true", help="count what the form says")
    parser.add_argument("--weights", type=Path, default=WEIGHTS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=20)
    options, told = parser.parse_args(), own_words()
    file = options.folder / FORM
    if options.score:
        for name, share in score(told, file.read_text("utf-8")).items():
            print(f"{share:5.3f}  {name}")
        return
    options.folder.mkdir(parents=True, exist_ok=True)
    pipeline = load_pipeline(options.weights)
    pictures = enlarged(
        draw_prompts(pipeline, [each.text for each in told], options.steps, MODEL.guidance_scale, seed=options.seed)
    )
    for start in range(0, len(told), PER_SHEET):
        numbers = [str(1 + n) for n in range(start, min(start + PER_SHEET, len(told)))]
        page = sheet(itertools.islice(pictures, len(numbers)), numbers)
        page.save(options.folder / f"sheet-{1 + start // PER_SHEET}.jpg", quality=85)
    if not file.exists():
        file.write_text(form(len(told)), "utf-8")


if __name__ == "__main__":
    main()
