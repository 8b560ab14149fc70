"""`latcomp check`: every checksum, bound and count of a .lat file, and its repair, without torch."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from latcomp.cli.common import (
    Force,
    Json,
    LatInputs,
    Quiet,
    TokenizerFolder,
    check_paths,
    note,
    open_lat,
    output_place,
    print_json,
)
from latcomp.cli.limits import MaxBytes, MaxFrames, MaxLostFrames, MaxPixels, MaxTokens, limits_from
from latcomp.cli.several import each_file
from latcomp.cli.standard import shown_name
from latcomp.errors import DamagedFileError, UsageError

if TYPE_CHECKING:
    from latcomp.container import Header, Limits, Repair

LOST_SHOWN = 10  # more ranges of lost frames are only counted


def check(
    sources: LatInputs,
    repair: Annotated[
        Path | None,
        typer.Option(
            metavar="OUT.lat",
            show_default=False,
            help="Write what is intact to a new file, - for standard output: all groups before a damage and from the "
            "next segment on.",
        ),
    ] = None,
    force: Force = False,
    quiet: Quiet = False,
    json: Json = False,
    max_pixels: MaxPixels = None,
    max_frames: MaxFrames = None,
    max_lost_frames: MaxLostFrames = None,
    max_tokens: MaxTokens = None,
    max_bytes: MaxBytes = None,
    tokenizer: TokenizerFolder = None,
) -> None:
    """Verify .lat files, and with --repair save what is intact of one.

    The exit code is 0 for an intact file and 4 for a damaged one, also when it was repaired. Of several files each is
    told by itself, as a line, or with --json as an object a line with its path; the exit code is then that of the first
    one that failed."""
    limits = limits_from(max_pixels, max_frames, max_lost_frames, max_tokens, max_bytes)
    if repair is not None and len(sources) > 1:
        raise UsageError(f"--repair writes one file, and {len(sources)} are given: repair them one by one")

    place = "" if repair is None else shown_name(repair, "standard output")

    def tell(source: Path) -> DamagedFileError | None:
        done: Repair | None = None
        header = HeaderFaults(tokenizer)
        if repair is not None:
            done = _repaired(source, repair, limits, force, json, header)
            problems = [str(problem) for problem in done.problems]
        else:
            problems = _problems(source, limits, header)
        problems += header.of_video
        if json:
            path = {"path": str(source)} if len(sources) > 1 else {}
            print_json(
                {
                    **path,
                    "ok": not problems,
                    "problems": problems,
                    **({} if done is None else {"repaired": _figures(done)}),
                }
            )
        if done is not None and not quiet:
            _tell_lost(done)
        name = shown_name(source)
        if problems:
            more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
            saved = "" if done is None else f"; what is intact was written to {place}: {_saved(done)}"
            return DamagedFileError(f"{name} is damaged: {problems[0]}{more}{saved}")
        if not quiet:
            note(f"{name}: no problem found" + ("" if done is None else f"; {place} is a copy: {_saved(done)}"))
        return None

    each_file(sources, tell, json)


class HeaderFaults:
    """What there is to say against a file's header beside its checksum and bounds."""

    def __init__(self, tokenizer: Path | None) -> None:
        self.tokenizer = tokenizer
        self.of_video: list[str] = []
        """What the video side does not understand of it; known once `of_models` was asked."""

    def of_models(self, header: Header) -> list[str]:
        """What it says of its models that is not so."""
        from latcomp.models import faults_of
        from latcomp.video.info import VideoInfo, check_setups

        try:
            check_setups(VideoInfo.from_header_fields(header.video_fields()))
        except DamagedFileError as error:
            self.of_video = [str(error)]
        return faults_of(header, self.tokenizer)


def _problems(source: Path, limits: Limits, header: HeaderFaults) -> list[str]:
    """What is damaged in a file, one line each."""
    from latcomp.container import check as check_file
    from latcomp.models import prior_finder

    with open_lat(source) as file:
        found = check_file(file, limits, prior_finder(header.tokenizer), header.of_models)
        return [str(problem) for problem in found]


def _repaired(source: Path, target: Path, limits: Limits, force: bool, json: bool, header: HeaderFaults) -> Repair:
    """The repair of a file, written to a path or to standard output; the target is refused before anything is read."""
    from latcomp.container import repair
    from latcomp.files import output_stream
    from latcomp.models import prior_finder

    check_paths(source, target, force)
    place = output_place(target, json_on_stdout=json)
    with ExitStack() as stack:
        file = stack.enter_context(open_lat(source))
        if isinstance(place, Path):
            place = stack.enter_context(output_stream(place, force))
        done = repair(file, place, limits, prior_finder(header.tokenizer), header.of_models)
        place.flush()
    return done


def _figures(done: Repair) -> dict[str, Any]:
    """The object `repaired` of --json."""
    names = ("segments", "groups", "frames", "frames_lost", "audio_packets", "bytes_total")
    return {**{name: getattr(done, name) for name in names}, "lost": [asdict(lost) for lost in done.lost]}


def _saved(done: Repair) -> str:
    return f"{done.frames} frames, {done.frames_lost} are lost"


def _tell_lost(done: Repair) -> None:
    for lost in done.lost[:LOST_SHOWN]:
        last = lost.first_frame + lost.frames - 1
        note(f"lost: frames {lost.first_frame} to {last} ({lost.start_seconds:.3f} s to {lost.end_seconds:.3f} s)")
    if len(done.lost) > LOST_SHOWN:
        note(f"lost: {len(done.lost) - LOST_SHOWN} more ranges")
