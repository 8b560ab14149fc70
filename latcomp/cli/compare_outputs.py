"""What `latcomp compare` can write beside its figures: a video of both and a plot; checked before any work."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from latcomp.cli.common import check_paths, output_place
from latcomp.errors import UsageError

if TYPE_CHECKING:
    from latcomp.video import VideoInfo
    from latcomp.video.compare import ComparisonVideo


@dataclass(frozen=True)
class Pictures:
    """The video that is to show both, if any."""

    target: Path | None
    place: Path | BinaryIO | None
    """Where it goes: the target, or standard output."""
    mode: str
    amplify: float
    force: bool

    @property
    def words(self) -> str:
        """What is seen, for people."""
        if self.mode == "side":
            return "reference left, test right"
        return f"test less reference, times {self.amplify:g}, around mid grey"


def check_outputs(
    reference: Path,
    test: Path,
    video: Path | None,
    mode: str | None,
    amplify: float | None,
    plot: Path | None,
    force: bool,
    json: bool,
) -> Pictures:
    """The pictures that are asked for. Refuses, before any work, outputs that cannot or may not be written and settings
    without sense.
    """
    from latcomp.files import is_stream
    from latcomp.video.compare import DEFAULT_AMPLIFY
    from latcomp.video.writer import format_of_path

    if video is None and mode is not None:
        raise UsageError("--mode says what --video shows: give --video OUT as well")
    if amplify is not None and mode != "difference":
        raise UsageError("--amplify is for --mode difference: give that as well")
    for output in (video, plot):
        if output is not None:
            check_paths(reference, output, force)
            check_paths(test, output, force)
    place = None
    if video is not None:
        place = output_place(video, json_on_stdout=json)
        if isinstance(place, Path) and not is_stream(place):
            format_of_path(place)
    if plot is not None:
        from latcomp.bench.bdrate import need_report_extra
        from latcomp.bench.compare_plot import check_plot_path

        need_report_extra("matplotlib")
        check_plot_path(plot)
    return Pictures(video, place, mode or "side", amplify or DEFAULT_AMPLIFY, force)


def open_pictures(pictures: Pictures, info: VideoInfo, stack: ExitStack) -> ComparisonVideo | None:
    """What the pairs of frames go to, closed by `stack`; None when no video was asked for."""
    from latcomp.files import is_stream, output_target
    from latcomp.video import format_of_path
    from latcomp.video.compare import ComparisonVideo

    place, format = pictures.place, None
    if place is None:
        return None
    if isinstance(place, Path):
        format = None if is_stream(place) else format_of_path(place)
        place = stack.enter_context(output_target(place, pictures.force))
    return stack.enter_context(ComparisonVideo(place, info, pictures.mode, pictures.amplify, format))
