"""`latcomp bench speed`: frames per second, where the time goes, memory and multiply-adds."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from latcomp.cli.bench.common import measure_each, plain_table, show
from latcomp.cli.choices import CAMERAS, word_of
from latcomp.cli.options.expand import takes_groups
from latcomp.cli.options.measuring import BenchQuality, Clips, PlottedOptions, TokenizerName
from latcomp.cli.options.shared import Device
from latcomp.cli.standard import note
from latcomp.printable import counted


@takes_groups
def speed(
    clips: Clips,
    quality: BenchQuality = 5.0,
    repeats: Annotated[
        int, typer.Option(min=1, metavar="N", help="Runs of each kind; minimum, median and maximum are shown.")
    ] = 3,
    frames: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", show_default=False, help="Most frames of each clip to use (default: all)."),
    ] = None,
    camera: Annotated[
        str,
        typer.Option(
            **word_of(CAMERAS), help="Whether whole and warm runs follow a moving camera (auto), or not (off)."
        ),
    ] = "auto",
    against: Annotated[
        str | None,
        typer.Option(
            metavar="COMMAND",
            show_default=False,
            help="Another release's latcomp: whole processes of both run in turn, and each pair gives how many times "
            "as fast this one is.",
        ),
    ] = None,
    tokenizer: TokenizerName = None,
    device: Device = "auto",
    *,
    output: PlottedOptions,
) -> None:
    """Frames per second of encode and decode, where the time goes, memory, and multiply-adds per pixel.

    Each is timed in one process whose models are loaded, after a run to warm up, and as a whole command with its
    start-up. What it costs to start is told by commands over one frame. Shares of stages come from a run of their own
    and are shares of the stages' seconds added up: stages overlap in threads, so the sum may exceed the wall time,
    which is shown beside it."""
    output.check(clips)

    from latcomp.bench.speed.measure import SpeedBench, SpeedSettings

    bench = SpeedBench(SpeedSettings(quality, repeats, frames, tokenizer, device, camera, against))
    measure_each(clips, bench.run, output.quiet)
    figures = bench.figures()
    if output.plot is not None:
        from latcomp.bench.speed.plot import save_plot

        save_plot(figures, output.plot)
    if not output.quiet:
        _show(figures)
    output.write(figures)


def _show(figures: dict[str, Any]) -> None:
    from latcomp.bench.speed.measure import DIRECTIONS
    from latcomp.bench.speed.plot import words
    from latcomp.stages import STAGES

    threads, repeats = figures["threads"], figures["repeats"]
    on = figures["device_name"] or f"{figures['device']}, {counted(threads, 'thread')}"
    speeds = plain_table(
        "clip",
        "",
        "in one process",
        "whole process",
        "peak MB",
        *(["device MB"] if figures["device_name"] else []),
        *(["the other", "times as fast"] if figures["against"] else []),
        title=f"frames per second: median (minimum to maximum) of {counted(repeats, 'run')} on {on}",
    )
    rows = [(clip, name) for clip in figures["clips"] for name in DIRECTIONS]
    met = [name for name in STAGES if any(name in clip[way]["stages"]["seconds"] for clip, way in rows)]
    shares = plain_table(
        "clip",
        "",
        *map(words, met),
        "ms a frame",
        "wall ms",
        title="shares of the stages' seconds, and milliseconds per frame",
    )
    for clip, name in rows:
        one = clip[name]
        memory = [one["whole_process"]["peak_bytes"]] + [one["device_peak_bytes"]] * (
            figures["device_name"] is not None
        )
        texts = [_spread(one[kind]["frames_per_second"]) for kind in ("in_process", "whole_process")]
        label = f"{clip['clip']} ({clip['frames']} frames of {clip['width']}x{clip['height']})"
        beside = []
        if one["against"] is not None:
            beside = [_spread(one["against"]["frames_per_second"]), _spread(one["against"]["times_as_fast"], 2)]
        speeds.add_row(label, name, *texts, *(f"{held / 1e6:.0f}" for held in memory), *beside)
        stages = one["stages"]
        parts = [f"{100 * stages['shares'][stage]:.1f} %" if stage in stages["shares"] else "" for stage in met]
        times = [
            1e3 * seconds / clip["frames"] for seconds in (sum(stages["seconds"].values()), stages["wall_seconds"])
        ]
        shares.add_row(clip["clip"], name, *parts, *(f"{value:.2f}" for value in times))
    show(speeds)
    show(shares)
    over = figures["start_up"]["over_import_torch"]
    alone = min(figures["start_up"]["import_torch"]["seconds"])
    note(
        f"start-up: one frame takes {over['encode']['seconds']:.2f} s to encode and {over['decode']['seconds']:.2f} s "
        f"to decode more than the {alone:.2f} s that import torch takes (least of {counted(repeats, 'run')} each)"
    )
    costs = figures["macs_per_pixel"]
    names = {
        "tokenizer_encoder": "tokenizer's encoder",
        "tokenizer_decoder": "its decoder",
        "lit": "LIT",
        "prior": "prior, if all is kept",
    }
    told = [f"{label} {costs[key] / 1e3:.2f}" for key, label in names.items() if costs[key] is not None]
    note(f"thousand multiply-adds per pixel: {', '.join(told)}")


def _spread(values: dict[str, float], digits: int = 1) -> str:
    middle, least, most = (f"{values[name]:.{digits}f}" for name in ("median", "minimum", "maximum"))
    return f"{middle} ({least} to {most})"
