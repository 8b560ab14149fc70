"""`latcomp check`: every checksum, bound and count of a .lat file, without torch."""

from __future__ import annotations

from latcomp.cli.common import Json, LatInput, MaxPixels, Quiet, limits_of, note, open_lat, print_json
from latcomp.errors import DamagedFileError


def check(source: LatInput, max_pixels: MaxPixels = None, quiet: Quiet = False, json: Json = False) -> None:
    """Verify a .lat file."""
    from latcomp.container import check as check_file
    from latcomp.tokenizer.registry import prior_finder

    with open_lat(source) as file:
        problems = [str(problem) for problem in check_file(file, limits_of(max_pixels), prior_finder())]
    if json:
        print_json({"ok": not problems, "problems": problems})
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise DamagedFileError(f"{source} is damaged: {problems[0]}{more}")
    if not quiet:
        note(f"{source}: no problem found")
