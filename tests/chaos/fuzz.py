"""What people type, attach and put among the models, damaged in every way: nothing may raise or stay active."""

import json
import pickle
import random
import tempfile
import time
import warnings
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

FITS_EVERY = 20  # prompts: reading blocks with the SDK of Slack takes ten times as long as writing them
LONGEST_SECONDS = 0.005  # of the processor, for one text through the parser


@dataclass
class Report:
    what: str
    seed: int
    tried: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    slowest_ms: float = 0.0
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        return self.tried > 0 and not self.faults


def run(what: str, count: int, seed: int) -> Report:
    report, began = Report(what, seed), time.monotonic()
    {"prompts": prompts, "images": images, "weights": weights}[what](report, count, random.Random(seed))
    report.seconds = time.monotonic() - began
    return report


def prompts(report: Report, count: int, chance: random.Random) -> None:
    from tests import test_discord_text as discord
    from tests import test_slack_text as slack

    checks = [discord.check_pings, discord.check_links_and_marks, discord.check_files, slack.check_is_only_text]
    for number in range(count):
        written = chance.choice((discord, slack)).written(chance)
        rest = [] if number % FITS_EVERY else [slack.check_fits]
        try:
            for check in (*checks, *rest):
                check(written)
        except Exception as error:  # an assertion, or what nobody caught
            report.faults.append(f"{written[:200]!r}: {error!r:.300}")
        _time(report, written)
        report.tried += 1


def _time(report: Report, written: str) -> None:
    from bot import prompt
    from bot.errors import Refused
    from tests import test_discord_text as text

    def parse() -> None:
        with suppress(Refused):
            prompt.parse(written, text.HERE)

    seconds = _seconds(parse)
    if seconds > LONGEST_SECONDS:
        seconds = min(_seconds(parse) for _ in range(5))  # others use the processor too
    report.slowest_ms = max(report.slowest_ms, round(seconds * 1000, 2))
    if seconds > LONGEST_SECONDS:
        report.faults.append(f"{seconds * 1000:.1f} ms: {written[:100]!r}")


def _seconds(call) -> float:
    began = time.thread_time()
    call()
    return time.thread_time() - began


def images(report: Report, count: int, chance: random.Random) -> None:
    from engine.given import MAX_PIXELS, Unusable
    from tests import test_given as given

    warnings.simplefilter("ignore")
    files = given.whole_files()
    for _ in range(count):
        content = given.mutated(chance, chance.choice(files))
        report.tried += 1
        try:
            image = given.cleaned(content)
        except Unusable as refused:
            report.counts[str(refused)] += 1
        except Exception as error:
            report.faults.append(f"{error!r:.300} of {content[:40]!r}… ({len(content)} bytes)")
        else:
            report.counts["usable"] += 1
            if image.mode != "RGB" or image.width * image.height > MAX_PIXELS or image.info:
                report.faults.append(f"{image.mode} {image.size} {image.info}")


class _Canary:
    """Unpickled, it leaves a file."""

    def __init__(self, file: Path):
        self._file = file

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (self._file,)


def weights(report: Report, count: int, chance: random.Random) -> None:
    """What the check before a load lets through, the loader reads or refuses; neither runs any of it."""
    import numpy as np
    from safetensors import SafetensorError, safe_open
    from safetensors.numpy import save

    from engine.weights import _is_whole

    whole = save({f"layer.{n}": np.arange(64, dtype=np.float32).reshape(8, 8) for n in range(4)}, {"format": "pt"})
    with tempfile.TemporaryDirectory() as folder:
        file, canary = Path(folder) / "model.safetensors", Path(folder) / "canary"
        bomb = pickle.dumps(_Canary(canary))
        for number in range(count):
            content = bomb if number % 100 == 0 else _damaged(chance, whole)
            file.write_bytes(content)
            report.tried += 1
            try:
                passes = _is_whole(file)
                report.counts["passes the check" if passes else "fails the check"] += 1
                with safe_open(file, framework="np") as tensors:
                    for name in tensors.keys():  # noqa: SIM118 - it is no dict
                        tensors.get_tensor(name)
                report.counts["is read"] += 1
            except (SafetensorError, OSError, ValueError, TypeError, KeyError, RuntimeError, AttributeError):
                report.counts["is refused by the loader"] += 1
            except Exception as error:
                report.faults.append(f"{error!r:.300} of {content[:60]!r}…")
            if canary.exists():
                report.faults.append("code in a file was run")
                canary.unlink()


def _damaged(chance: random.Random, whole: bytes) -> bytes:
    length = int.from_bytes(whole[:8], "little")
    header, data = whole[8 : 8 + length], whole[8 + length :]
    match chance.randrange(7):
        case 0:
            return whole[: chance.randrange(len(whole))]
        case 1:
            return chance.choice((0, 1, length + 1, 2**31, 2**63, 2**64 - 1)).to_bytes(8, "little") + header + data
        case 2:
            at = chance.randrange(len(header))
            header = header[:at] + chance.randbytes(chance.randint(1, 4)) + header[at + 1 :]
        case 3:
            entries = json.loads(header)
            entries[chance.choice(list(entries))] = chance.choice(
                ([], 7, None, {}, {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 1024]},
                 {"dtype": "F32", "shape": [8, 8], "data_offsets": ["0", "9"]},
                 {"dtype": "F32", "shape": [8, 8], "data_offsets": [-1, 255]},
                 {"dtype": "X", "shape": [-1], "data_offsets": [0]})
            )  # fmt: skip
            header = json.dumps(entries).encode()
        case 4:
            depth = chance.choice((10, 1000, 100_000))
            header = b"[" * depth + b"]" * depth
        case 5:
            data = data[: chance.randrange(len(data))]
        case 6:
            data += chance.randbytes(chance.randint(1, 100))
    return len(header).to_bytes(8, "little") + header + data


def told(report: Report) -> str:
    slow = f", the slowest {report.slowest_ms} ms" if report.slowest_ms else ""
    lines = [
        f"fuzz {report.what}: {report.tried} with seed {report.seed} in {report.seconds:.0f} s{slow}",
        *(f"  {name:28} {count}" for name, count in report.counts.most_common()),
        f"faults: {len(report.faults)}",
        *(f"  {each}" for each in report.faults[:10]),
    ]
    return "\n".join([*lines, "passed" if report.passed else "FAILED"])
