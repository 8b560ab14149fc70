"""What was meant by a command line of another tool, or one with too many or too few names: said in the message that
refuses it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import Path

from latcomp.printable import command_line
from latcomp.suffixes import INPUT_SUFFIXES, LAT, VIDEO_SUFFIXES

# other words for a command
COMMAND_WORDS = {
    "info": "stats",
    "probe": "stats",
    "ffprobe": "stats",
    "show": "stats",
    "inspect": "stats",
    "stat": "stats",
    "ls": "stats",
    "compress": "encode",
    "convert": "encode",
    "enc": "encode",
    "decompress": "decode",
    "dec": "decode",
    "expand": "decode",
    "verify": "check",
    "test": "check",
    "validate": "check",
    "repair": "check",
    "fsck": "check",
    "psnr": "compare",
    "ssim": "compare",
    "diff": "compare",
    "metrics": "compare",
    "latents": "tokens",
    "list": "models",
}

# what takes folders: a usual name of the output, and flags that are required
FOLDERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "batch": ("lats/", ()),
    "import": ("lats/", ()),
    "export": ("cache/", ("--as", "plain")),
}

_FRONT = "put ffmpeg in front for that: ffmpeg -i IN ... -f matroska - | latcomp encode - OUT.lat"
_SAYS_ALL = "-q silences notes and the progress bar, and latcomp --version prints the version"

# flags of ffmpeg and of other tools: (ours, of which the command's own is said; what to say where it has none of them)
FOREIGN: dict[str, tuple[tuple[str, ...], str]] = {
    "-i": ((), "the input is the first name, without a flag"),
    "--input": ((), "the input is the first name, without a flag"),
    "-o": (("--out",), "the output is the last name, without a flag"),
    "--output": (("--out",), "the output is the last name, without a flag"),
    "-y": (("--force",), ""),
    "--yes": (("--force",), ""),
    "--overwrite": (("--force",), ""),
    "-n": ((), "an existing output is left alone unless --force is given"),
    "-ss": (("--start",), ""),
    "-t": (("--duration",), ""),
    "-to": (("--duration",), ""),
    "--end": (("--duration",), ""),
    "-crf": (("--crf", "--quality"), ""),
    "-qp": (("--crf", "--quality"), ""),
    "-q:v": (("--crf", "--quality"), ""),
    "-qscale": (("--crf", "--quality"), ""),
    "-b": (("--target-bpp", "--crf"), ""),
    "-b:v": (("--target-bpp", "--crf"), ""),
    "--bitrate": (("--target-bpp", "--crf"), ""),
    "-an": (("--no-audio",), ""),
    "-c": (("--codec",), ""),
    "-c:v": (("--codec",), ""),
    "-codec": (("--codec",), ""),
    "-vcodec": (("--codec",), ""),
    "-c:a": ((), "audio is copied as it is, and --no-audio leaves it out"),
    "-acodec": ((), "audio is copied as it is, and --no-audio leaves it out"),
    "-map": (("--video-track",), ""),
    "-j": (("--jobs",), ""),
    "-v": ((), _SAYS_ALL),
    "--verbose": ((), _SAYS_ALL),
    "-V": ((), "latcomp --version prints the version"),
    "-loglevel": (("--quiet",), ""),
    "-hide_banner": (("--quiet",), ""),
    "-nostats": (("--quiet",), ""),
    "-nostdin": ((), "latcomp reads nothing from the keyboard: leave it out"),
    "-r": ((), _FRONT),
    "-s": ((), _FRONT),
    "-vf": ((), _FRONT),
    "-filter": ((), _FRONT),
    "-threads": ((), "all cores are used, and OMP_NUM_THREADS=N in front of the command bounds them"),
}

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://.+")


def foreign_flag(words: Sequence[str], own: Collection[str], takes_names: bool) -> str | None:
    """What to say of the first flag among `words` that another tool has and this command has not.

    own: the command's flags; takes_names: whether it takes names without a flag.
    """
    for word in words:
        if word in own:
            continue
        ours, otherwise = FOREIGN.get(word) or FOREIGN.get(word.partition(":")[0]) or ((), "")
        found = next((name for name in ours if name in own), None)
        if found == "--duration" and word != "-t":
            return f"No such option {word}; give --duration, which counts from --start"
        if found is not None:
            return f"No such option {word}; did you mean {found}?"
        if otherwise and takes_names:
            return f"No such option {word}; {otherwise}"
    return None


def address(words: Sequence[str], command: str) -> str | None:
    """What to say of the first address (https://...) among `words`, where no file is called so."""
    for word in words:
        if not _ADDRESS.fullmatch(word) or Path(word).exists():
            continue
        if word.startswith("file://"):
            return f"{word} is an address, and latcomp takes file names: {word.removeprefix('file://')}"
        quoted, suffix = command_line([word]), Path(word).suffix.lower()
        if command == "encode":
            way = (
                f"latcomp encode IN - | curl -T - {quoted}"
                if suffix == LAT
                else (f"ffmpeg -i {quoted} -c copy -f matroska - | latcomp encode - OUT.lat")
            )
        elif command == "decode":
            way = (
                f"curl -sS {quoted} | latcomp decode - OUT.mp4"
                if suffix == LAT
                else (f"latcomp decode IN.lat - | ffmpeg -i - -c copy {quoted}")
            )
        else:
            way = f"curl -sS {quoted} | latcomp {command} -" if command in ("stats", "check") else ""
        return f"{word} is an address, and latcomp reads and writes files and pipes{way and ': '}{way}"
    return None


def too_many(words: Sequence[str], command: str, own: Collection[str]) -> str | None:
    """What to say where there are more names than the command takes."""
    for flag, value in zip(words, words[1:], strict=False):
        if (
            flag == "-f"
            and f".{value.lower()}" in VIDEO_SUFFIXES | {".matroska", ".yuv4mpegpipe"}
            and "--format" in own
        ):
            return f"-f is --force here and takes no value; did you mean --format {value}?"
    videos = [word for word in words if Path(word).suffix.lower() in INPUT_SUFFIXES]
    lats = [word for word in words if Path(word).suffix.lower() == LAT]
    if command == "encode" and len(videos) > 1:
        many = f"encode takes one video and one output, and {len(videos)} videos are given"
        return f"{many}; latcomp batch SRC_DIR DST_DIR encodes a folder"
    if command == "decode" and len(lats) > 1:
        return (
            f"decode takes one .lat file and one output, and {len(lats)} .lat files are given; one by one: "
            'for f in *.lat; do latcomp decode "$f" "${f%.lat}.mp4"; done'
        )
    return None


def too_few(words: Sequence[str], command: str) -> str | None:
    """What to say where the second name is missing behind the only one."""
    if command in FOLDERS:
        given = [word for word in words[:1] if not word.startswith("-")]
        flags = list(words[1:])
        if not given or (flags and not (command == "export" and flags[0] == "--as" and len(flags) == 2)):
            return None
        folder, usual = FOLDERS[command]
        meant = command_line(["latcomp", command, given[0], folder, *(flags or usual)])
        return f"the output folder is missing; did you mean {meant}?"
    suffix = {"encode": LAT, "decode": ".mp4", "tokens": ".npz"}.get(command)
    names = [word for word in words if not word.startswith("-")]
    if command == "compare" and len(names) == len(words) == 1:
        meant = command_line(["latcomp", command, names[0], Path(names[0]).with_suffix(LAT)])
        return f"what is compared with the original is missing; did you mean {meant}?"
    if suffix is None or len(names) != 1 or len(words) != 1:
        return None
    meant = command_line(["latcomp", command, names[0], Path(names[0]).with_suffix(suffix)])
    return f"the output is missing; did you mean {meant}?"


def missing_option(flags: Sequence[str], help: str) -> str:
    """What to say where an option is missing that a command cannot do without: what it takes."""
    return f"{max(flags, key=len)} is missing: {help[:1].lower()}{help[1:].rstrip('.')}"


def without_command(words: Sequence[str]) -> str | None:
    """The command that was meant by flags and names without one, as `-i in.mp4 out.lat`; None where that cannot be
    told.
    """
    names = [word for word in words if not word.startswith("-") and Path(word).suffix]
    if len(names) != 2:
        return None
    return command_line(["latcomp", "decode" if Path(names[0]).suffix.lower() == LAT else "encode", *names])
