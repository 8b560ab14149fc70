"""Whether a .lat file is intact, and a new file of what is intact of it. Neither torch nor PyAV."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from latcomp import container
from latcomp.codec.arguments import checks_arguments
from latcomp.container import Header, Limits
from latcomp.container.repair import LostFrames
from latcomp.errors import DamagedFileError
from latcomp.limits import DEFAULT_MAX_PIXELS
from latcomp.models import faults_of, prior_finder
from latcomp.output import output_stream
from latcomp.sources import open_source
from latcomp.video.info import VideoInfo, check_setups


@dataclass(frozen=True)
class CheckResult:
    """What was found wrong with a file."""

    problems: tuple[str, ...]
    """One line each, in file order; none for an intact file."""

    @property
    def ok(self) -> bool:
        """Whether the file is intact."""
        return not self.problems


@dataclass(frozen=True)
class RepairResult(CheckResult):
    """What a repair saved, and what was wrong with the damaged file."""

    segments: int
    """Of the new file, as are the next ones."""
    groups: int
    frames: int
    frames_lost: int
    """Frames that could not be saved."""
    audio_packets: int
    attachments: int
    bytes_total: int
    lost: tuple[LostFrames, ...]
    """Which frames those are, in file order; only what the damaged file still says was there."""

    def to_json(self) -> dict[str, Any]:
        """The object `repaired` of `latcomp check --repair --json`."""
        names = ("segments", "groups", "frames", "frames_lost", "audio_packets", "attachments", "bytes_total")
        return {**{name: getattr(self, name) for name in names}, "lost": [asdict(lost) for lost in self.lost]}


@checks_arguments
def check(
    source: str | Path | BinaryIO,
    *,
    tokenizer: str | Path | None = None,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    limits: Limits | None = None,
) -> CheckResult:
    """Verify every checksum, bound and count of a .lat file, by reading all of it front to back.

    source: a path or a binary file object, which may be a pipe. tokenizer: folder of the file's tokenizer, where it is
    not one that is shipped. limits: what the file may claim; those of `Limits` and `max_pixels` unless given.

    Raises `DamagedFileError` when there is no readable header, `UnsupportedFileError` for a later version or a prior
    that is not found, `LimitError` for claims above the limits."""
    header = _HeaderFaults(tokenizer)
    with open_source(source) as file:
        found = container.check(
            file, limits or Limits(max_pixels=max_pixels), prior_finder(tokenizer), header.of_models
        )
    return CheckResult((*map(str, found), *header.of_video))


@checks_arguments
def repair(
    source: str | Path | BinaryIO,
    target: str | Path | BinaryIO,
    *,
    tokenizer: str | Path | None = None,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    limits: Limits | None = None,
    force: bool = False,
) -> RepairResult:
    """Write what is intact of a .lat file to a new one: all groups before a damage, and from the next segment on.

    source, target: paths or binary file objects, which may be pipes; an existing target is refused unless `force`.
    tokenizer, max_pixels, limits: as for `check`. The rules are those of `latcomp.container.repair`.

    Raises what `check` raises, `DamagedFileError` also when no group is left, `OutputError` when the target cannot be
    written."""
    header = _HeaderFaults(tokenizer)
    with ExitStack() as stack:
        file = stack.enter_context(open_source(source))
        out = stack.enter_context(output_stream(target, force)) if isinstance(target, str | Path) else target
        bounds = limits or Limits(max_pixels=max_pixels)
        done = container.repair(file, out, bounds, prior_finder(tokenizer), header.of_models)
        out.flush()
    return RepairResult(
        (*map(str, done.problems), *header.of_video),
        segments=done.segments,
        groups=done.groups,
        frames=done.frames,
        frames_lost=done.frames_lost,
        audio_packets=done.audio_packets,
        attachments=done.attachments,
        bytes_total=done.bytes_total,
        lost=tuple(done.lost),
    )


class _HeaderFaults:
    """What there is to say against a file's header besides its checksum and bounds."""

    def __init__(self, tokenizer: str | Path | None) -> None:
        self._tokenizer = tokenizer
        self.of_video: list[str] = []
        """What the video side does not understand of it; known once `of_models` was asked."""

    def of_models(self, header: Header) -> list[str]:
        """What it says of its models that is not so."""
        try:
            check_setups(VideoInfo.from_header_fields(header.video_fields()))
        except DamagedFileError as error:
            self.of_video = [str(error)]
        return faults_of(header, self._tokenizer)
