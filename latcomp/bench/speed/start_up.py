"""What it costs to start a command: whole commands over one frame, against a process that imports PyTorch and ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from latcomp.bench.speed.whole_process import WholeRun, run_import, run_whole


def measure_start_up(encode: list[str], decode: list[str], repeats: int) -> dict[str, Any]:
    """Run the three in turn, so that a machine whose speed drifts is as fast to all of them.

    encode, decode: command lines over one frame; what the first writes the second reads. Gives `import_torch`, `encode`
    and `decode`, each with `seconds` and `cpu_seconds` of every run, and `over_import_torch`: by `encode` and `decode`,
    the least `seconds` and `cpu_seconds` less the least of the import. Raises `LatcompError` for a command that
    fails."""
    ways: dict[str, Callable[[], WholeRun]] = {
        "import_torch": lambda: run_import("torch"),
        "encode": lambda: run_whole(*encode),
        "decode": lambda: run_whole(*decode),
    }
    runs: dict[str, list[WholeRun]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, once in ways.items():
            runs[name].append(once())
    taken = {
        name: {"seconds": [run.seconds for run in each], "cpu_seconds": [run.cpu_seconds for run in each]}
        for name, each in runs.items()
    }
    over = {
        name: {unit: min(values) - min(taken["import_torch"][unit]) for unit, values in taken[name].items()}
        for name in ("encode", "decode")
    }
    return {**taken, "over_import_torch": over}
