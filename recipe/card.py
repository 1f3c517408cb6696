"""Last stage: the model card, `README.md` beside the weights, from what the stages reached."""

import json
from pathlib import Path
from typing import Any

FIGURES, ADOPTED = "figures.json", "adopted.json"
Figures = dict[str, dict[str, float]]  # by stage
_HEAD = """---
license: apache-2.0
library_name: diffusers
pipeline_tag: text-to-image
language: en
---
# Built-in sketch

The model that ships with Limner, for trying it out: flat, modern illustrations of a small world at about 256×256 px,
and an upscaler to 2048 px.

## Data

Nothing but what `recipe/` draws and tells: no picture, caption or weight of anybody else.
`python -m recipe.examples FOLDER` writes examples with a `metadata.jsonl`.

## Licence

Apache-2.0, for the weights, the pictures and the recipe.

## Limits

It knows the words of `docs/builtin-model.md` and nothing else: no text, no named people, no styles, no photographs, no
counting beyond three. Pictures are soft; faces, hair and small shapes are its weakest.
"""


def collected(work: Path, stages: tuple[str, ...]) -> Figures:
    """What every stage reached in this work folder, on top of what the adopted weights had behind them."""
    figures: Figures = json.loads((work / ADOPTED).read_text()) if (work / ADOPTED).exists() else {}
    for stage in stages:
        file = work / stage / "state.json"
        state: dict[str, float] = json.loads(file.read_text()) if file.exists() else {}
        if state.get("step"):
            before = figures.get(stage, {})
            state |= {name: state[name] + before.get(name, 0) for name in ("step", "seconds")}
            figures[stage] = before | {name: value for name, value in state.items() if name != "budget_seconds"}
    return {stage: figures[stage] for stage in stages if stage in figures}


def write_card(folder: Path, figures: Figures, evaluation: dict[str, Any]) -> None:
    (folder / FIGURES).write_text(json.dumps(figures, indent=1) + "\n")
    rows = [
        f"| {stage} | {each['step']:,.0f} | {each['seconds'] / 60:.0f} | {_reached(each)} |"
        for stage, each in figures.items()
    ]
    drawn, rendered, how = (evaluation[name] for name in ("drawn", "rendered", "settings"))
    shares = [f"| {name} | {100 * share:.0f} % | {100 * rendered[name]:.0f} % |" for name, share in drawn.items()]
    lines = [
        "\n## Training\n\n| stage | steps | minutes | reached |\n|---|---|---|---|", *rows,
        f"\n## Evaluation\n\n{how['prompts']} held-out prompts, {how['steps']} steps of {how['scheduler']}, guidance "
        f"{how['guidance_scale']:g}; the attributes that a classifier sees in the drawn pictures, and in fresh renders",
        "of the same scenes.\n\n| attribute | drawn | rendered |\n|---|---|---|", *shares,
    ]  # fmt: skip
    (folder / "README.md").write_text(_HEAD + "\n".join(lines) + "\n", "utf-8")


def _reached(figures: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in figures.items() if name not in ("step", "seconds"))
