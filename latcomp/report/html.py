"""The page of `stats --html`: summary, curves over time, and a player with the keep mask over the frames, in one file
of its own.

The page is made of the files in `page/`, the summary as plain HTML and one JSON object; it refers to nothing outside
and forbids itself any connection."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Sequence
from importlib import resources
from typing import Any

from latcomp import __version__
from latcomp.container import Header
from latcomp.printable import bytes_text, printable
from latcomp.report.collect import Collected
from latcomp.report.history import AGE_MOST
from latcomp.report.pictures import BYTES_MOST, FRAMES_MOST, SIDE_MOST, Plane
from latcomp.report.series import GroupRow, columns_of
from latcomp.report.terminal import rate_text, stats_rows

COLUMNS_MOST = 800  # steps of a curve
TABLE_MOST = 500  # groups in the table
SCRIPTS = ("text.js", "masks.js", "world.js", "chart.js", "report.js")


def page_html(
    figures: dict[str, Any],
    header: Header,
    rows: Sequence[GroupRow],
    collected: Collected,
    name: str,
    pictures_from: str,
) -> str:
    """The whole page.

    figures: of `stats_dict`; rows: of `group_rows`; name: what the page calls the file; pictures_from: what it calls
    the source of the pictures, as in 'Frames decoded from the file'."""
    damage = list(dict.fromkeys([*figures["damage"], *collected.damage]))
    parts = {
        "title": _text(f"{name} - latcomp"),
        "name": _text(name),
        "css": _read("report.css"),
        "js": "".join(_read(script) for script in SCRIPTS),
        "damage": "".join(f'<p class="damage">Damaged: {_text(line)}</p>' for line in damage),
        "tiles": "".join(_tile(label, value, more) for label, value, more in _tiles(figures)),
        "summary": "".join(
            f"<tr><th>{_text(label)}</th><td>{_text(value)}</td></tr>" for label, value in stats_rows(figures)
        ),
        "frames_note": _text(frames_note(figures["frames"], collected, pictures_from)),
        "groups": _groups_table(rows),
        "data": _json(_data(figures, header, rows, collected)),
        "version": _text(__version__),
    }
    # in one pass: what is put in is not looked through again
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], _read("report.html"))


def frames_note(frames: int, collected: Collected, pictures_from: str) -> str:
    """What a page says of the frames it shows, and of those it leaves out."""
    shown, every = len(collected.shelf.frames), collected.shelf.every
    width, height = collected.size
    if not shown:
        return f"{pictures_from}: none could be shown."
    which = "all" if shown == frames else f"every {_ordinal(every)}, " if every > 1 else ""
    which = "all frames" if which == "all" else f"{which}{shown} of {frames} frames"
    return (
        f"{pictures_from}: {which}, as JPEG of {width}x{height}. A page holds at most {FRAMES_MOST} frames of "
        f"{SIDE_MOST} pixels on the "
        f"longer side and {BYTES_MOST / 1e6:.0f} MB of pictures and masks."
    )


def _text(words: str) -> str:
    """Words as HTML that shows them, whatever they are."""
    return html.escape(printable(words))


def _ordinal(number: int) -> str:
    ending = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _read(name: str) -> str:
    return resources.files("latcomp.report").joinpath("page", name).read_text(encoding="utf-8")


def _tiles(figures: dict[str, Any]) -> list[tuple[str, str, str]]:
    """(label, value, more) of the figures people look for first."""
    audio = f"{bytes_text(figures['bytes_audio'])} of it audio" if figures["bytes_audio"] else "no audio"
    tiles = [
        ("tokens kept", f"{figures['keep_ratio']:.1%}", f"{figures['tokens_kept']:,} of {figures['tokens_total']:,}"),
        ("bits per pixel", f"{figures['bpp']:.4f}", "without audio"),
        ("size", bytes_text(figures["bytes_total"]), audio),
        ("raw latents", f"{figures['ratio_to_raw_latents']:.0f}x larger", "fp16, every position"),
    ]
    camera = figures["camera"]
    if camera is not None and camera["pixels_per_frame"] > 0:
        followed = sum(segment["mode"] == "follow" for segment in camera["segments"])
        every = len(camera["segments"])
        more = "a frame" if followed == every else f"a frame, {followed} of {every} segments"
        tiles.append(("camera", f"{camera['pixels_per_frame']:.1f} pixels", more))
    if figures["duration_seconds"] > 0:
        rate = 8 * (figures["bytes_total"] - figures["bytes_audio"]) / figures["duration_seconds"] / 1000
        more = f"{figures['duration_seconds']:.2f} s, {rate_text(figures['fps_average'])}"
        tiles.append(("rate", f"{rate:,.{0 if rate >= 100 else 1}f} kbit/s", more))
    return tiles


def _tile(label: str, value: str, more: str) -> str:
    parts = (("label", label), ("value", value), ("more", more))
    return "<div class=tile>" + "".join(f'<span class="{kind}">{_text(text)}</span>' for kind, text in parts) + "</div>"


def _groups_table(rows: Sequence[GroupRow]) -> str:
    """Rows of the table of groups, and a last one that says how many are left out."""
    lines = []
    for row in rows[:TABLE_MOST]:
        bits = f"{8 * row.bytes / row.tokens_kept:.1f}" if row.tokens_kept else "-"
        cells = (
            str(row.group),
            f"{row.start_seconds:.2f}",
            str(row.frames),
            f"{row.tokens_kept:,}",
            f"{row.tokens_kept / row.tokens_total:.1%}",
            f"{row.bytes:,}",
            bits,
            row.fill,
            "key" if row.key else "",
        )
        lines.append("<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in cells) + "</tr>")
    if len(rows) > TABLE_MOST:
        lines.append(f"<tr><td colspan=9>and {len(rows) - TABLE_MOST} more: latcomp stats --csv lists all</td></tr>")
    return "".join(lines)


def _data(figures: dict[str, Any], header: Header, rows: Sequence[GroupRow], collected: Collected) -> dict[str, Any]:
    """What the page's script works on; its keys are read in report.js."""
    shelf, history = collected.shelf, collected.history
    width, height = collected.size
    shown_groups = {shown.group for shown in shelf.frames}
    return {
        "picture": [width, height],
        "quarter_turns": round(header.rotation / 90) % 4,  # counter-clockwise
        "size": [header.width, header.height],  # of a frame, in pixels as offsets are
        "spatial": int(header.tokenizer["spatial"]),
        "age_most": AGE_MOST,
        "frames": [
            {
                "frame": shown.frame,
                "seconds": round(shown.seconds, 6),
                "latent_frame": shown.latent_frame,
                "group": shown.group,
                "kept": shown.kept,
                "positions": shown.positions,
                "offset": list(shown.offset),
                "world": shown.world,
                "picture": "data:image/jpeg;base64," + _base64(shown.jpeg),
            }
            for shown in shelf.frames
        ],
        "ages": {str(number): _plane(plane) for number, plane in shelf.ages.items()},
        "worlds": {
            str(number): {"share": _plane(world.share), "path": world.path} for number, world in shelf.worlds.items()
        },
        "camera": any(row.moves for row in rows),
        "groups": {
            str(row.group): {"bytes": row.bytes, "tokens_kept": row.tokens_kept, "key": row.key, "fill": row.fill}
            for row in rows
            if row.group in shown_groups
        },
        "kept": [
            [round(start, 4), round(end, 4), round(ratio, 5)] for start, end, ratio in history.ratios(COLUMNS_MOST)
        ],
        "bits": [
            [
                round(column.start_seconds, 4),
                round(column.end_seconds, 4),
                *(round(bits, 1) for bits in column.bits_per_second),
            ]
            for column in columns_of(rows, COLUMNS_MOST)
        ],
    }


def _plane(plane: Plane) -> dict[str, Any]:
    box = plane.box
    return {"box": [box.top, box.left, box.rows, box.columns], "data": _base64(plane.data)}


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _json(data: dict[str, Any]) -> str:
    """JSON that may stand inside a script element: nothing in it can end the element."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028")
