"""The plot of `bench length`: memory, and processor time a frame, over the frames of a stream."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from latcomp.output import output_file

_LOOKS = {"encode": ("#0072B2", "-"), "decode": ("#D55E00", "--")}  # Okabe and Ito's colours


def save_plot(figures: dict[str, Any], path: Path) -> None:
    """Write the plot of what `latcomp.bench.length.measure.measure` gave. Raises `OutputError`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.2), dpi=130, layout="constrained")
    memory, speed = figure.subplots(1, 2)
    for name, (color, line) in _LOOKS.items():
        samples = figures[name]["samples"]
        hours = [sample["frames"] / figures["rate"] / 3600 for sample in samples]
        memory.plot(hours, [sample["rss_bytes"] / 1e6 for sample in samples], color=color, linestyle=line, label=name)
        pairs = list(zip(samples, samples[1:], strict=False))
        costs = [1e3 * (b["cpu_seconds"] - a["cpu_seconds"]) / (b["frames"] - a["frames"]) for a, b in pairs]
        speed.plot(hours[1:], costs, color=color, linestyle=line, label=name)
    for axes, label in ((memory, "memory of the process, MB"), (speed, "processor time a frame, ms")):
        axes.set_xlabel("hours of video")
        axes.set_ylabel(label)
        axes.set_ylim(bottom=0)
        axes.grid(True, color="#dddddd", linewidth=0.8)
        axes.set_axisbelow(True)
    memory.legend(frameon=False)
    figure.suptitle(f"{figures['frames']} frames of {figures['width']}x{figures['height']}", fontsize=12)
    with output_file(path, force=True) as temporary:
        figure.savefig(temporary, format=path.suffix[1:] or "png")
