"""The plot of `bench speed`: a bar for each direction of each clip, milliseconds per frame stacked by stage, and the
wall time.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from latcomp.bench.speed.measure import DIRECTIONS
from latcomp.output import output_file
from latcomp.stages import STAGES, Stage

# Okabe and Ito's colours, which people with any common colour blindness tell apart; hatches say the same again
LOOKS: dict[Stage, tuple[str, str]] = {
    "reading": ("#999999", ""),
    "camera": ("#F0E442", "xx"),
    "tokenizer": ("#0072B2", ""),
    "selection": ("#009E73", "//"),
    "lit": ("#D55E00", ""),
    "token_coding": ("#CC79A7", "\\\\"),
    "writing": ("#56B4E9", ".."),
}


def words(name: str) -> str:
    """A stage as people read it."""
    return "LIT" if name == "lit" else name.replace("_", " ")


def save_plot(figures: dict[str, Any], path: Path) -> None:
    """Write the plot of what `SpeedBench.figures` gave. Raises `OutputError`."""
    from matplotlib.figure import Figure

    bars = [
        (f"{clip['clip']}, {name}", clip["frames"], clip[name]["stages"])
        for clip in figures["clips"]
        for name in DIRECTIONS
    ]
    figure = Figure(figsize=(9, 1.6 + 0.42 * len(bars)), dpi=130, layout="constrained")
    axes = figure.subplots()
    places = list(range(len(bars)))
    ends = [0.0] * len(bars)
    for name in STAGES:
        values = [1e3 * stages["seconds"].get(name, 0.0) / frames for _, frames, stages in bars]
        if any(values):
            color, hatch = LOOKS[name]
            axes.barh(
                places,
                values,
                0.62,
                left=ends,
                color=color,
                hatch=hatch,
                edgecolor="white",
                linewidth=0.5,
                label=words(name),
            )
            ends = [end + value for end, value in zip(ends, values, strict=True)]
    walls = [1e3 * stages["wall_seconds"] / frames for _, frames, stages in bars]
    axes.plot(walls, places, "k|", markersize=18, markeredgewidth=2, label="time that went by")
    axes.set_yticks(places, [label for label, *_ in bars])
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.set_xlabel("milliseconds per frame, stages in several threads added up")
    axes.grid(True, axis="x", color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=9, frameon=False)
    with output_file(path, force=True) as temporary:
        figure.savefig(temporary, format=path.suffix[1:] or "png")
