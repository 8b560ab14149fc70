"""Whether an output exists already: absent, valid, damaged, older than its video, or of other settings."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latcomp.container import Header, Limits, check, scan
from latcomp.container.header_fields import VIDEO_FIELDS
from latcomp.errors import DamagedFileError, LimitError, OutputError, UnsupportedFileError
from latcomp.report.stats import stats_dict

if TYPE_CHECKING:
    from latcomp.container.reader import FindPrior

_NOT_SETTINGS = frozenset({"created_by", "segment_groups", "group_latent_frames", "metadata", "time_base", "requires"})
_OF_AUDIO = ("codec", "sample_rate", "channels", "language")
"""What tells one audio stream from another. The rest of its record is FFmpeg's account of it, which the next version
may give otherwise: the name of the layout, the unit of its times, and the head of a Matroska file that its parameters
are kept in."""
_RATE_SHARE = (
    0.01  # an average rate is FFmpeg's estimate in many formats: one that differs by less is that of the same video
)
_FOLLOWS = {
    "step_scale": "quality",
    "threshold": "quality",
    "units": "prior",
}  # not worth a word where the other one has its own
_MODELS = {"tokenizer": "tokenizer", "lit": "LIT", "prior": "prior"}


class OutputKind(enum.Enum):
    """What a batch may find where an output is to be."""

    ABSENT = "absent"
    VALID = "valid"
    """Intact, of this video and these settings."""
    DAMAGED = "damaged"
    """Damaged, cut off, or no .lat file at all."""
    STALE = "stale"
    """Intact, but older than its source."""
    DIFFERENT = "different"
    """Intact, but encoded with other settings, or of a version or model that is not available."""


@dataclass(frozen=True)
class OutputState:
    """What was found of one output."""

    kind: OutputKind
    reason: str = ""
    """Why it is not valid, as the end of a sentence that begins with the file's name."""
    figures: dict[str, Any] | None = None
    """The object of `latcomp stats --json` without its groups, for a valid one."""


def inspect_output(target: Path, expected: Header, source: Path, limits: Limits, find_prior: FindPrior) -> OutputState:
    """The state of `target`, where a file with the header `expected` is to be, encoded from the video `source`.

    All of it is read, as `latcomp check` does. The coding of the tokens (context or zstd) does not count: the tokens
    are the same. Raises `OutputError` when it cannot be read or is no file."""
    try:
        if not target.exists():
            return OutputState(OutputKind.ABSENT)
        with target.open("rb") as file:
            problems = check(file, limits, find_prior)
            file.seek(0)
            summary = scan(file, limits)
        older = target.stat().st_mtime_ns < source.stat().st_mtime_ns
    except DamagedFileError as error:
        return OutputState(OutputKind.DAMAGED, f"was damaged: {error}")
    except (UnsupportedFileError, LimitError) as error:
        return OutputState(OutputKind.DIFFERENT, f"cannot be checked: {error}")
    except OSError as error:
        raise OutputError(f"{target} cannot be read: {(error.strerror or str(error)).lower()}") from None
    if problems:
        return OutputState(OutputKind.DAMAGED, f"was damaged: {problems[0]}")
    different = differences(summary.header, expected)
    if different:
        return OutputState(OutputKind.DIFFERENT, f"was encoded with different settings: {'; '.join(different)}")
    if older:
        return OutputState(OutputKind.STALE, "was older than its source")
    figures = stats_dict(summary)
    del figures["groups"]
    return OutputState(OutputKind.VALID, figures=figures)


def differences(found: Header, expected: Header) -> list[str]:
    """In words, what two headers do not share. Steps that `expected` does not say are fitted to the latents. Who wrote
    the file and how it is cut into groups does not count, nor what FFmpeg derives from a video: another version of it,
    or of PyAV, may derive it otherwise from the same one."""
    before, after = found.to_dict(), expected.to_dict()
    for name in _MODELS:
        one, other = before[name], after[name]
        if one is not None and other is not None and None in (one.get("fingerprint"), other.get("fingerprint")):
            # a file of before there were fingerprints
            before[name], after[name] = (
                {key: record[key] for key in record if key != "fingerprint"} for record in (one, other)
            )
    unequal = {
        name
        for name, wanted in after.items()
        if name not in _NOT_SETTINGS and _identity(name, before.get(name)) != _identity(name, wanted)
    }
    if _same_rate(before["average_rate"], after["average_rate"]):
        unequal.discard("average_rate")
    words = []
    for name, wanted in after.items():
        if name not in unequal or _FOLLOWS.get(name) in unequal:
            continue
        if name in _MODELS:
            words.append(f"{_MODELS[name]} {_model(before[name])}, not {_model(wanted)}")
        elif name == "audio":
            words.append(
                "other audio" if before[name] and wanted else "with audio" if before[name] else "without audio"
            )
        elif name == "steps":
            words.append("other steps of the channels")
        elif name in VIDEO_FIELDS:
            words.append(f"the video's {name.replace('_', ' ')} was {_plain(before[name])}, not {_plain(wanted)}")
        else:
            words.append(f"{name.replace('_', ' ')} {_plain(before[name])}, not {_plain(wanted)}")
    if found.latents is not None:
        words.append("made of latents, not of a video")
    if _camera(found) != _camera(expected):
        words.append(f"camera {_camera(found)}, not {_camera(expected)}")
    return words


def _camera(header: Header) -> str:
    """Whether moving cameras were to be followed; what else a header requires is its tokenizer's."""
    return "auto" if "camera" in header.requires else "off"


def _identity(name: str, value: Any) -> Any:
    """What of a header's member identifies the source or the settings."""
    return [[stream.get(key) for key in _OF_AUDIO] for stream in value] if name == "audio" else value


def _same_rate(one: tuple[int, int] | None, other: tuple[int, int] | None) -> bool:
    """Whether two average rates may be estimates of one; any may be where one is not known."""
    if one is None or other is None or 0 in (*one, *other):
        return True
    return abs(one[0] * other[1] / (one[1] * other[0]) - 1) < _RATE_SHARE


def _model(record: dict[str, Any] | None) -> str:
    return "none" if record is None else f"{record['name']} ({_hash(record)[:8]})"


def _hash(record: dict[str, Any]) -> str:
    """What tells a model from others: its fingerprint, else the hash of its weights, else no more than its name."""
    return str(record.get("fingerprint", record.get("sha256", "by name")))


def _plain(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, tuple):
        return "/".join(map(str, value))
    return str(value)
