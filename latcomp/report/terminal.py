"""The figures of `latcomp stats` for people: a table, and the keep ratio over time as a line of blocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from latcomp.printable import bytes_text, counted, printable
from latcomp.report.camera import camera_words

BLOCKS = "▁▂▃▄▅▆▇█"
SPARKLINE_COLUMNS = 60
NO_WIDTH = 10_000
NAMES_SHOWN = 3  # of attachments


def sparkline(values: list[float], columns: int = SPARKLINE_COLUMNS, top: float = 1.0) -> str:
    """One block character a column for values from 0 to `top`; more values than columns are averaged, fewer are not
    stretched.
    """
    count = min(len(values), columns)
    line = ""
    for column in range(count):
        part = values[column * len(values) // count : (column + 1) * len(values) // count]
        level = sum(part) / len(part) / top if top > 0 else 0.0
        line += BLOCKS[min(max(int(level * len(BLOCKS)), 0), len(BLOCKS) - 1)]
    return line


def rate_text(frames_per_second: float) -> str:
    """A frame rate for people, as '29.97 frames/s'."""
    digits = 2 if frames_per_second >= 1 else 4
    return f"{frames_per_second:.{digits}f}".rstrip("0").rstrip(".") + " frames/s"


def stats_rows(figures: dict[str, Any]) -> list[tuple[str, str]]:
    """(name, value) in words of a file's figures, fit to be shown: a header can name its models as it likes."""
    total = max(figures["bytes_total"], 1)

    def share(name: str) -> str:
        return f"{bytes_text(figures[name])} ({figures[name] / total:.1%})"

    asked = (
        "lossless"
        if figures["coding"] == "lossless"
        else f"quality {figures['quality']:g}"
        if figures["quality"] is not None
        else f"{figures['target_bpp']:g} bits per pixel"
        if figures["target_bpp"] is not None
        else f"at least {figures['min_psnr']:g} dB PSNR-Y"
        if figures["min_psnr"] is not None
        else "-"
    )
    if figures["keep"] is not None:
        asked += f", keep {figures['keep']:g}"
    if figures["threshold"] is not None:
        asked += f", threshold {figures['threshold']:.4g}"
    if figures["optimise"] is not None:
        asked += f", fewest {figures['optimise']}"
    tokenizer = figures["tokenizer"]
    first = "" if tokenizer["first_frames"] == tokenizer["temporal"] else f" (first {tokenizer['first_frames']})"
    rows = [
        (
            "video",
            f"{figures['width']}x{figures['height']}, {figures['frames']} frames, "
            f"{figures['duration_seconds']:.2f} s, {rate_text(figures['fps_average'])}",
        ),
        ("settings", f"{asked}, reference {figures['reference']}"),
        (
            "tokenizer",
            f"{tokenizer['name']} ({tokenizer['channels']} channels, {tokenizer['spatial']}x{tokenizer['spatial']} "
            f"pixels x {tokenizer['temporal']} frames{first}, {(tokenizer['sha256'] or 'by name')[:8]})",
        ),
        *([] if figures["latents"] is None else [("made of", _latents_words(figures["latents"]))]),
        ("LIT", "none" if figures["lit"] is None else f"{figures['lit']['name']} ({figures['lit']['sha256'][:8]})"),
        *([] if figures["camera"] is None else [("camera", camera_words(figures["camera"]))]),
        ("tokens kept", f"{figures['tokens_kept']} of {figures['tokens_total']} ({figures['keep_ratio']:.1%})"),
        ("size", f"{bytes_text(figures['bytes_total'])}, {figures['bpp']:.4f} bits per pixel without audio"),
        ("tokens", f"{share('bytes_tokens')}, {figures['bits_per_token']:.1f} bits per token with all but audio"),
        ("keep masks", share("bytes_mask")),
        ("audio", share("bytes_audio")),
        *([("attachments", _attachment_words(figures))] if figures["attachments"] else []),
        ("the rest", f"{bytes_text(figures['bytes_header'] + figures['bytes_other'])}"),
        ("raw latents", f"{figures['ratio_to_raw_latents']:.1f} times larger (fp16)"),
        (
            "structure",
            f"{counted(figures['segments'], 'segment')}, {counted(len(figures['groups']), 'group')}, "
            f"{sum(group['fill'] == 'lit' for group in figures['groups'])} filled by the LIT",
        ),
    ]
    return [(name, printable(value)) for name, value in rows]


def _latents_words(latents: dict[str, Any]) -> str:
    """What the latents were that a file was made of."""
    known = "" if latents["architecture"] is None else f", of {latents['architecture']}"
    return f"latents: {latents['space']}, {latents['estimator']}, {latents['dtype']} {latents['layout']}{known}"


def _attachment_words(figures: dict[str, Any]) -> str:
    """How many attachments a file has, their size and their names."""
    names = [one["name"] for one in figures["attachments"]]
    some = ", ".join(names[:NAMES_SHOWN]) + (", ..." if len(names) > NAMES_SHOWN else "")
    return f"{len(names)} in {bytes_text(figures['bytes_attachments'])}: {some}"


def print_stats(figures: dict[str, Any], console: Console, groups: bool = False) -> None:
    """Print a file's figures (of `stats_dict`) as a table, with the keep ratio over time below; `groups` adds a row a
    group.
    """
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in stats_rows(figures):
        table.add_row(name, Text(value))
    ratios = [group["tokens_kept"] / group["tokens_total"] for group in figures["groups"]]
    if ratios:
        table.add_row("kept over time", Text(f"{sparkline(ratios)}  {min(ratios):.0%} to {max(ratios):.0%}"))
    parts: list[Table | Text] = [table]
    parts += [Text(printable(f"damage: {message}"), style="red") for message in figures["damage"]]
    if groups:
        parts.append(_groups_table(figures["groups"]))
    console.print(Group(*parts))


def print_stats_of_several(named: Sequence[tuple[str, dict[str, Any]]], console: Console) -> None:
    """Print a row for each (file name, figures of `stats_dict`), and one for all of them."""
    table = Table(box=None, pad_edge=False)
    for heading in ("frames", "picture", "seconds", "bpp", "kept", "size"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("file", overflow="fold")
    for name, figures in named:
        table.add_row(
            str(figures["frames"]),
            f"{figures['width']}x{figures['height']}",
            f"{figures['duration_seconds']:.2f}",
            f"{figures['bpp']:.4f}",
            f"{figures['keep_ratio']:.1%}",
            bytes_text(figures["bytes_total"]),
            Text(printable(name)),
        )
    if len(named) > 1:
        every = [figures for _, figures in named]
        pixels = sum(one["frames"] * one["width"] * one["height"] for one in every)
        plain = sum(one["bytes_total"] - one["bytes_audio"] for one in every)
        kept, total = (sum(one[key] for one in every) for key in ("tokens_kept", "tokens_total"))
        table.add_row(
            str(sum(one["frames"] for one in every)),
            "",
            f"{sum(one['duration_seconds'] for one in every):.2f}",
            f"{8 * plain / max(pixels, 1):.4f}",
            f"{kept / max(total, 1):.1%}",
            bytes_text(sum(one["bytes_total"] for one in every)),
            Text(f"all {len(every)} files"),
            style="bold",
        )
    # what is no terminal has no width: a name stays on its line
    (console if console.is_terminal else Console(file=console.file, width=NO_WIDTH)).print(table)


def _groups_table(groups: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False)
    moves = any(group["pixels_travelled"] for group in groups)
    camera = ("offset", "travelled") if moves else ()
    for name in ("group", "start s", "kept", "of", "ratio", "bytes", "bits per token", *camera):
        table.add_column(name, justify="right")
    table.add_column("fill")
    for number, group in enumerate(groups):
        kept, total = group["tokens_kept"], group["tokens_total"]
        bits = f"{group['bytes'] * 8 / kept:.1f}" if kept else "-"
        table.add_row(
            str(number),
            f"{group['start_seconds']:.2f}",
            str(kept),
            str(total),
            f"{kept / total:.1%}",
            str(group["bytes"]),
            bits,
            *([f"{group['offset_x']}, {group['offset_y']}", f"{group['pixels_travelled']:.0f}"] if moves else []),
            group["fill"],
        )
    return table
