"""Pictures with captions as a data set for fine-tuning: `python -m recipe.examples FOLDER`.

What `datasets` calls an image folder: PNG files and a `metadata.jsonl` with a `file_name` and a `text` for each.
"""

import argparse
import json
import random
from pathlib import Path

from .captions import caption
from .pictures import TRAIN_SEEDS
from .scenes import render
from .spec import random_scene


def write_examples(folder: Path, count: int, side: int) -> None:
    """`count` scenes of `side` × `side` px."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "metadata.jsonl").open("w", encoding="utf-8") as lines:
        for seed in range(TRAIN_SEEDS, TRAIN_SEEDS + count):
            scene, name = random_scene(seed), f"{seed}.png"
            render(scene, side, side).save(folder / name)
            lines.write(json.dumps({"file_name": name, "text": caption(scene, random.Random(seed)).text}) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m recipe.examples", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--side", type=int, default=512, help="px")
    options = parser.parse_args()
    write_examples(options.folder, options.count, options.side)


if __name__ == "__main__":
    main()
