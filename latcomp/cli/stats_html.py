"""The page of `latcomp stats --html`, with frames of a video or decoded ones. torch is imported only to decode."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from latcomp.cli.common import error_console, input_file, output_place
from latcomp.container import Group, Header, Limits, Reader
from latcomp.errors import UsageError
from latcomp.files import output_stream
from latcomp.models import prior_finder
from latcomp.report.collect import PicturesOf, collect
from latcomp.report.html import page_html
from latcomp.report.series import GroupRow
from latcomp.report.terminal import bytes_text


@dataclass(frozen=True)
class PageTold:
    """What there is to tell of a page that was written."""

    text: str
    """How many frames it shows, and its size."""
    damage: list[str] = field(default_factory=list)
    """What was found damaged in the .lat file while its masks were read, one line each."""


def write_page(
    file: BinaryIO,
    figures: dict[str, Any],
    rows: Sequence[GroupRow],
    name: str,
    target: Path,
    *,
    video: Path | None,
    tokenizer: Path | None,
    limits: Limits,
    device: str,
    force: bool,
    quiet: bool,
) -> PageTold:
    """Write the page of a .lat file to a path, or to standard output for `-`.

    file: seekable, read from its beginning; figures and rows: of its scan. Raises as `decode` does, and with a video as
    `encode` does of its input; `UsageError` when the video has frames of another size than the file; `OutputError` when
    the target cannot be written."""
    file.seek(0)
    reader = Reader(file, limits, prior_finder(tokenizer))
    pictures = _decoded(reader.header, device, tokenizer) if video is None else _of_video(video, reader.header, limits)
    with pictures as pictures_of, _progress(figures["frames"], quiet) as progress:
        collected = collect(reader, rows, pictures_of, progress)
    label = "Frames decoded from the file" if video is None else f"Frames of {video.name}"
    page = page_html(figures, reader.header, rows, collected, name, label).encode("utf-8")
    place = output_place(target)
    with output_stream(place, force) if isinstance(place, Path) else nullcontext(place) as out:
        out.write(page)
        out.flush()
    shown = len(collected.shelf.frames)
    return PageTold(f"{shown} of {figures['frames']} frames, {bytes_text(len(page))}", collected.damage)


@contextmanager
def _decoded(header: Header, device: str, tokenizer: Path | None) -> Iterator[PicturesOf]:
    """Frames out of the tokens of each group."""
    from latcomp.codec.decoder import Decoder

    yield Decoder(header, device, tokenizer=tokenizer).frames


@contextmanager
def _of_video(path: Path, header: Header, limits: Limits) -> Iterator[PicturesOf]:
    """Frames of a video, by number: frame n of the file is frame n of the video."""
    from latcomp.video import Frame, open_video

    with open_video(input_file(path), audio=False, max_pixels=limits.max_pixels) as reader:
        if (reader.info.width, reader.info.height) != (header.width, header.height):
            raise UsageError(
                f"--video {path} has frames of {reader.info.width}x{reader.info.height}, the file was encoded from "
                f"{header.width}x{header.height}: give the video it was encoded from"
            )
        frames = (item.pixels for item in reader if isinstance(item, Frame))
        passed = 0

        def pictures_of(group: Group) -> Iterator[np.ndarray]:
            nonlocal passed
            for pixels in frames:
                passed += 1
                if passed > group.first_frame:  # frames of lost groups are passed over
                    yield pixels
                if passed >= group.first_frame + len(group.pts):
                    return

        yield pictures_of


@contextmanager
def _progress(frames: int, quiet: bool) -> Iterator[Callable[[int], None] | None]:
    """A function that shows how many frames are done on a terminal, or None when nobody watches."""
    console = error_console()
    if quiet or not console.is_terminal:
        yield None
        return
    with console.status("reading") as status:
        yield lambda done: status.update(f"{done} of {frames} frames")
