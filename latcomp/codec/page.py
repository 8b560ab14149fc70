"""A .lat file as a page: figures, curves, and a player that lays the keep mask over frames. torch only to decode."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from latcomp.container import Group, Header, Limits, Reader, scan
from latcomp.errors import UsageError
from latcomp.limits import DEFAULT_MAX_PIXELS
from latcomp.models import prior_finder
from latcomp.output import output_stream
from latcomp.report.collect import PicturesOf, collect
from latcomp.report.html import page_html
from latcomp.report.series import group_rows
from latcomp.report.stats import stats_dict
from latcomp.sources import open_seekable, source_name


@dataclass(frozen=True)
class PageResult:
    """What a page shows."""

    frames_shown: int
    frames: int
    """Frames of the file."""
    bytes_total: int
    """Size of the page."""
    damage: tuple[str, ...] = ()
    """What was found damaged in the .lat file while its masks were read, one line each."""


def write_page(
    source: str | Path | BinaryIO,
    target: str | Path | BinaryIO,
    *,
    video: str | Path | BinaryIO | None = None,
    name: str | None = None,
    device: str = "auto",
    tokenizer: str | Path | None = None,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    limits: Limits | None = None,
    force: bool = False,
    progress: Callable[[int], None] | None = None,
) -> PageResult:
    """Write the page of a .lat file, one HTML file with everything in it.

    video: shows the frames of this video, which the file was encoded from, instead of decoded ones. name: what the page
    calls the file; its own name unless given. device, tokenizer, max_pixels, limits: as for `decode`. progress: called
    with the number of frames passed. An existing target is refused unless `force`.

    Raises what `decode` raises, and with a video what `encode` raises of its input; `UsageError` when the video has
    frames of another size than the file; `OutputError` when the target cannot be written."""
    limits = limits or Limits(max_pixels=max_pixels)
    with ExitStack() as stack:
        file = stack.enter_context(open_seekable(source))
        summary = scan(file, limits)
        figures, rows = stats_dict(summary), group_rows(summary)
        file.seek(0)
        reader = Reader(file, limits, prior_finder(tokenizer))
        if video is None:
            pictures_of, label = _decoded(reader.header, device, tokenizer), "Frames decoded from the file"
        else:
            pictures_of = stack.enter_context(_of_video(video, reader.header, limits))
            label = f"Frames of {_short_name(video)}"
        collected = collect(reader, rows, pictures_of, progress)
    page = page_html(figures, reader.header, rows, collected, name or _short_name(source), label).encode("utf-8")
    with ExitStack() as stack:
        out = stack.enter_context(output_stream(target, force)) if isinstance(target, str | Path) else target
        out.write(page)
        out.flush()
    return PageResult(len(collected.shelf.frames), figures["frames"], len(page), tuple(collected.damage))


def _short_name(source: str | Path | BinaryIO) -> str:
    return Path(source).name if isinstance(source, str | Path) else source_name(source)


def _decoded(header: Header, device: str, tokenizer: str | Path | None) -> PicturesOf:
    """Frames out of the tokens of each group."""
    from latcomp.codec.decoder import Decoder

    return Decoder(header, device, tokenizer=tokenizer).frames


@contextmanager
def _of_video(source: str | Path | BinaryIO, header: Header, limits: Limits) -> Iterator[PicturesOf]:
    """Frames of a video, by number: frame n of the file is frame n of the video."""
    from latcomp.video import Frame, open_video

    with open_video(source, audio=False, max_pixels=limits.max_pixels) as reader:
        if (reader.info.width, reader.info.height) != (header.width, header.height):
            raise UsageError(
                f"{source_name(source)} has frames of {reader.info.width}x{reader.info.height}, the file was encoded "
                f"from {header.width}x{header.height}: give the video it was encoded from"
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
