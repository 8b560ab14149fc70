"""Encode and decode told apart by the names they are given: a command that runs the wrong way is refused before any
work.
"""

from __future__ import annotations

import re
from pathlib import Path

from latcomp.errors import DamagedFileError, NotAVideoError, UsageError
from latcomp.printable import command_line
from latcomp.sources import open_source
from latcomp.suffixes import INPUT_SUFFIXES, LAT, PICTURE_SUFFIXES


def refuse_wrong_way_to_encode(source: Path, target: Path) -> None:
    """Raise `UsageError` with the command that was meant, where a .lat file goes in or a video would come out."""
    if is_lat(source) and not is_lat(target):
        if target.is_file() and not source.exists():
            raise UsageError(f"input and output are swapped; did you mean {_command('encode', target, source)}?")
        raise UsageError(f"{source} is a .lat file already; did you mean {_command('decode', source, target)}?")
    if (suffix := target.suffix.lower()) in INPUT_SUFFIXES:
        better = _command("encode", source, target.with_suffix(LAT))
        kind = "picture" if suffix in PICTURE_SUFFIXES else "video"
        folder = (
            ", or latcomp batch SRC_DIR DST_DIR for a folder of videos" if source.is_file() and target.is_file() else ""
        )
        raise UsageError(
            f"encode writes .lat files, and {target} is the name of a {kind}; did you mean {better}{folder}?"
        )


def refuse_wrong_way_to_decode(source: Path, target: Path) -> None:
    """Raise `UsageError` with the command that was meant, where a .lat file would come out."""
    if not is_lat(target) or is_lat(source):
        return
    if target.is_file() and not source.exists():
        raise UsageError(f"input and output are swapped; did you mean {_command('decode', target, source)}?")
    raise UsageError(
        f"decode writes videos, and {target} is the name of a .lat file; did you mean "
        f"{_command('encode', source, target)}?"
    )


def refuse_wrong_order(reference: Path, test: Path) -> None:
    """Raise `UsageError` with the order that was meant, where `compare` is given a .lat file for the original."""
    if is_lat(reference):
        meant = "" if is_lat(test) else f"; did you mean {_command('compare', test, reference)}?"
        raise UsageError(f"the original comes first, and {reference} is a .lat file{meant}")


def refuse_pictures(source: Path) -> None:
    """Raise `NotAVideoError` with what can be done, where a folder or a series of pictures goes in."""
    folder, series = source.is_dir(), not source.exists() and re.search(r"%0?\d*d", source.name)
    if not folder and not series:
        return
    if folder:
        names = [place.suffix.lower() for place in source.iterdir()]
        videos = sum(name in INPUT_SUFFIXES and name not in PICTURE_SUFFIXES for name in names)
        if videos or not any(name in PICTURE_SUFFIXES for name in names):
            more = f" of {videos} video{'s' if videos > 1 else ''}" if videos else ", not a video"
            raise NotAVideoError(f"{source} is a folder{more}: latcomp batch SRC_DIR DST_DIR encodes folders of videos")
        suffix = next(name for name in names if name in PICTURE_SUFFIXES)
        pictures = ["-pattern_type", "glob", "-i", f"{source}/*{suffix}"]
    else:
        pictures = ["-i", str(source)]
    line = command_line(["ffmpeg", "-framerate", "25", *pictures, "-c:v", "ffv1", "-f", "matroska", "-"])
    raise NotAVideoError(
        f"{source} is a {'folder' if folder else 'series'} of pictures, which ffmpeg makes a video of: {line} | "
        "latcomp encode - OUT.lat"
    )


def refuse_named_video(path: Path) -> None:
    """Raise `DamagedFileError` with what can be done, where a file read as a .lat file is a video by name and no .lat
    by its start.
    """
    if path.suffix.lower() not in INPUT_SUFFIXES or not path.is_file():
        return
    from latcomp.container import MAGIC

    with open_source(path) as file:
        if file.read(len(MAGIC)) == MAGIC:
            return
    made = path.with_suffix(LAT)
    raise DamagedFileError(
        f"{path} is no .lat file, and has the name of a video: {_command('encode', path, made)} makes one of it, and "
        f"{_command('compare', path, made)} measures that"
    )


def is_lat(path: Path) -> bool:
    """Whether the name says that this is a .lat file."""
    return path.suffix.lower() == LAT


def _command(name: str, source: Path, target: Path) -> str:
    return command_line(["latcomp", name, source, target])
