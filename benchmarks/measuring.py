"""What the benchmarks share: the machine they ran on, medians, a table."""

import os
import platform
import statistics
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.table import Table


def machine() -> str:
    cores = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    name = cores[0].partition(":")[2].strip() if cores else platform.processor()
    libraries = ", ".join(f"{name} {version(name)}" for name in ("torch", "diffusers", "pillow", "numpy"))
    return f"{len(cores)} × {name} · Python {platform.python_version()} · {libraries}"


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def resident_mib(pid: int) -> float:
    """Memory of a process that is in RAM now, MiB."""
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(fields["VmRSS"].split()[0]) / 1024


def processor_seconds(pid: int) -> float:
    """What a process has worked so far: the same however many others share its processors."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_mib(pid: int) -> float:
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(fields["VmHWM"].split()[0]) / 1024


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    table = Table(*columns, title=title, title_justify="left")
    for row in rows:
        table.add_row(*row)
    Console(width=110).print(table)
