"""`latcomp check`: every checksum, bound and count of a .lat file, and its repair, without torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from latcomp.cli.options.expand import takes_groups
from latcomp.cli.options.reading import ReaderOptions
from latcomp.cli.options.shared import LatInputs, OutputOptions
from latcomp.cli.places import check_paths, lat_input, output_place
from latcomp.cli.several import each_file
from latcomp.cli.standard import note, print_json, shown_name
from latcomp.errors import DamagedFileError, UsageError

if TYPE_CHECKING:
    from latcomp.codec.check import CheckResult, RepairResult

LOST_SHOWN = 10  # more ranges of lost frames are only counted


@takes_groups
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
    *,
    output: OutputOptions,
    reader: ReaderOptions,
) -> None:
    """Verify .lat files, and with --repair save what is intact of one.

    The exit code is 0 for an intact file and 4 for a damaged one, also when it was repaired. Several files are reported
    one by one, each as a line, or with --json as an object on a line with its path; the exit code is then that of the
    first one that failed."""
    if repair is not None and len(sources) > 1:
        raise UsageError(f"--repair writes one file, and {len(sources)} are given: repair them one by one")

    def tell(source: Path) -> DamagedFileError | None:
        from latcomp.codec.check import check as check_file

        done = None if repair is None else _repaired(source, repair, output, reader)
        found = (
            check_file(lat_input(source), tokenizer=reader.tokenizer, limits=reader.limits) if done is None else done
        )
        if output.json:
            path = {"path": str(source)} if len(sources) > 1 else {}
            saved = {} if done is None else {"repaired": done.to_json()}
            print_json({**path, "ok": found.ok, "problems": list(found.problems), **saved})
        if done is not None and not output.quiet:
            _tell_lost(done)
        verdict = _verdict(source, found, done, repair)
        if not found.ok:
            return DamagedFileError(verdict)
        if not output.quiet:
            note(verdict)
        return None

    each_file(sources, tell, output.json)


def _repaired(source: Path, target: Path, output: OutputOptions, reader: ReaderOptions) -> RepairResult:
    """The repair of a file, written to a path or to standard output; the target is refused before anything is read."""
    from latcomp.codec.check import repair

    check_paths(source, target, output.force)
    place = output_place(target, json_on_stdout=output.json)
    return repair(lat_input(source), place, tokenizer=reader.tokenizer, limits=reader.limits, force=output.force)


def _verdict(source: Path, found: CheckResult, done: RepairResult | None, target: Path | None) -> str:
    """What to say of a file."""
    name, place = shown_name(source), "" if target is None else shown_name(target, "standard output")
    if found.ok:
        return f"{name}: no problem found" + ("" if done is None else f"; {place} is a copy: {_saved(done)}")
    more = f" (and {len(found.problems) - 1} more)" if len(found.problems) > 1 else ""
    saved = "" if done is None else f"; what is intact was written to {place}: {_saved(done)}"
    return f"{name} is damaged: {found.problems[0]}{more}{saved}"


def _saved(done: RepairResult) -> str:
    return f"{done.frames} frames, {done.frames_lost} are lost"


def _tell_lost(done: RepairResult) -> None:
    for lost in done.lost[:LOST_SHOWN]:
        last = lost.first_frame + lost.frames - 1
        note(f"lost: frames {lost.first_frame} to {last} ({lost.start_seconds:.3f} s to {lost.end_seconds:.3f} s)")
    if len(done.lost) > LOST_SHOWN:
        note(f"lost: {len(done.lost) - LOST_SHOWN} more ranges")
