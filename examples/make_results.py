"""Makes examples/RESULTS.md and its figures out of the measured results and of the clips they were measured on.

python examples/make_results.py CLIP... [--group NAME=clip,clip ...]

Needs the extra `report` (matplotlib). The tables come from benchmarks/results/*.json, which `latcomp bench` writes;
what is shown of single frames is encoded here, at the default quality."""

from __future__ import annotations

import argparse
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from rich.console import Console

import latcomp

HERE = Path(__file__).parent
RESULTS = HERE.parent / "benchmarks" / "results"
SECONDS = 2.0  # of each clip that are encoded here
METHODS = {
    "latcomp": "latcomp: temporal L1 difference",
    "elastictok-cv": "ElasticTok-CV: search by decoding",
    "infotok": "InfoTok: pixel error of a full decode",
    "uniform": "uniform",
    "random": "random",
}


@dataclass(frozen=True)
class Encoded:
    """The beginning of one clip at the default quality."""

    name: str
    keep_ratio: float
    by_latent_frame: np.ndarray
    """(T,) share of kept tokens."""
    often: np.ndarray
    """(h, w) share of the latent frames but the first in which a position's token was kept."""


def encoded(path: Path) -> Encoded:
    """Encode the beginning of a clip."""
    file = io.BytesIO()
    stats = latcomp.encode(path, file, audio=False, duration_seconds=SECONDS).stats
    with latcomp.open(io.BytesIO(file.getvalue())) as lat:
        mask = lat.mask
    return Encoded(path.stem, float(stats["keep_ratio"]), mask.mean((1, 2)), mask[1:].mean(0))


def plot_keep(fill: dict[str, Any], out: Path) -> None:
    """Keep ratio against PSNR-Y: the DAVIS clips, and the mean of all clips."""
    figure, axis = plt.subplots(figsize=(8, 5))
    rows = [row for row in fill["rows"] if row["fill"] == "auto"]
    names = sorted({row["clip"] for row in rows if row["clip"].startswith("davis-")})
    for name in names:
        points = sorted((row["keep_ratio"], row["psnr_y"]) for row in rows if row["clip"] == name)
        axis.plot(*np.array(points).T, marker="o", markersize=3, linewidth=1, label=name.removeprefix("davis-"))
    keeps = sorted({row["keep"] for row in rows})
    mean = [(keep, np.mean([row["psnr_y"] for row in rows if row["keep"] == keep])) for keep in keeps]
    axis.plot(*np.array(mean).T, color="black", marker="o", linewidth=2, label="mean of all clips")
    axis.set(xlabel="share of tokens kept", ylabel="PSNR-Y, dB")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(out, dpi=110)
    plt.close(figure)


def plot_histogram(clips: list[Encoded], groups: dict[str, list[str]], out: Path) -> None:
    """Histogram of the keep ratios of latent frames at the default quality, by content."""
    named = {name for members in groups.values() for name in members}
    rest = [clip.name for clip in clips if clip.name not in named]
    parts = {**groups, **({"others": rest} if rest else {})}
    figure, axes = plt.subplots(len(parts), 1, figsize=(8, 2 * len(parts)), sharex=True, squeeze=False)
    for axis, (name, members) in zip(axes[:, 0], parts.items(), strict=True):
        values = np.concatenate([clip.by_latent_frame for clip in clips if clip.name in members])
        axis.hist(values, bins=np.linspace(0, 1, 21), color="#3b6ea8")
        axis.set_title(f"{name}: {len(members)} clips, {values.mean():.0%} of the tokens", fontsize=9, loc="left")
        axis.set_ylabel("latent frames", fontsize=8)
    axes[-1, 0].set_xlabel("share of tokens kept in a latent frame")
    figure.tight_layout()
    figure.savefig(out, dpi=110)
    plt.close(figure)


def plot_maps(clips: list[Encoded], out: Path) -> None:
    """How often each position is kept, a map a clip, three a row."""
    rows = -(-len(clips) // 3)
    figure, axes = plt.subplots(rows, 3, figsize=(9, 2 * rows), squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for axis, clip in zip(axes.flat, clips, strict=False):
        axis.imshow(clip.often, cmap="inferno", vmin=0, vmax=1, interpolation="nearest")
        axis.set_title(f"{clip.name}: {clip.keep_ratio:.0%} kept", fontsize=8)
    figure.tight_layout()
    scale = plt.cm.ScalarMappable(plt.Normalize(0, 1), "inferno")
    figure.colorbar(scale, ax=axes, shrink=0.5, label="share of latent frames that keep a position")
    figure.savefig(out, dpi=100)
    plt.close(figure)


def allocator_table(figures: dict[str, Any]) -> str:
    """The methods at matched numbers of tokens, as a table."""
    lines = [
        "| tokens kept | which tokens | PSNR-Y, dB | MS-SSIM | bytes | time to choose, over latcomp's | total time, "
        "over latcomp's |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in figures["at_ratio"]:
        if row["method"] in METHODS:
            lines.append(
                f"| {row['keep']:.0%} | {METHODS[row['method']]} | {row['psnr_y']:.2f} | {row['ms_ssim_y']:.4f} | "
                f"{row['bytes']:,.0f} | "
                f"{row['allocate_ratio']:.3g}x | {row['total_ratio']:.2f}x |"
            )
    return "\n".join(lines)


def fill_table(fill: dict[str, Any]) -> str:
    """Means over the clips of every fill at each keep ratio, as a table."""
    lines = [
        "| kept | fill | gain over hold at dropped positions, dB | PSNR-Y, dB | MS-SSIM |",
        "|---|---|---|---|---|",
    ]
    for row in fill["mean"]:
        lines.append(
            f"| {row['keep']:.0%} | {row['fill']} | {row['gain_db']:+.2f} | {row['psnr_y']:.2f} | "
            f"{row['ms_ssim_y']:.4f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--group", action="append", default=[], metavar="NAME=clip,clip")
    given = parser.parse_args()
    groups = {name: members.split(",") for name, members in (text.split("=", 1) for text in given.group)}
    fill, allocators = (
        json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8")) for name in ("fill", "allocators")
    )
    console = Console(stderr=True)
    clips = []
    for path in given.clips:
        console.print(f"encoding {path.name}", highlight=False)
        clips.append(encoded(path))
    folder = HERE / "results"
    folder.mkdir(exist_ok=True)
    plot_keep(fill, folder / "keep-psnr.png")
    plot_histogram(clips, groups, folder / "keep-histogram.png")
    plot_maps(clips, folder / "keep-maps.png")
    page = f"""# Results

Made by `python examples/make_results.py CLIP...` out of the files in `benchmarks/results` and the {len(clips)} clips they were
measured on, none of which was trained on; fills were measured on their first 64 frames scaled to 256 pixels on the shorter side.

## Which tokens are kept

Frames of the example, with the keep mask laid over (`python examples/render_heatmap.py`):

![Frames, keep masks, decoded frames](heatmap.jpg)

How often the tokens of each position are kept in the first {SECONDS:g} seconds of every clip, at the default quality:

![Maps of kept tokens](results/keep-maps.png)

How much is kept follows the content:

![Histogram of keep ratios](results/keep-histogram.png)

## Share of tokens against quality

Quality {fill["quality"]:g}, the share of tokens given by `--keep`, dropped positions filled by hold or the LIT as the encoder chose:

![Keep ratio against PSNR](results/keep-psnr.png)

## How dropped positions are filled

At the same masks, means over the clips. Interpolation looks ahead to the next kept value, as no reader of a stream can; *auto* is
what the encoder chooses.

{fill_table(fill)}

## Who chooses the tokens

The same tokenizer, LIT and decoder for all; only the choice of tokens differs. Methods that do not meet a number of tokens exactly
are read off their own curve at latcomp's. Times are of two CPU cores, all in one run. `latcomp bench allocators` makes the figures.

{allocator_table(allocators)}
"""
    (HERE / "RESULTS.md").write_text(page, encoding="utf-8")
    console.print(f"wrote {HERE / 'RESULTS.md'}", highlight=False)


if __name__ == "__main__":
    main()
