"""Protects: whatever a library function is called with, a wrong argument is a named error that tells which one it is,
before anything is read or written.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from fractions import Fraction
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import latcomp
from latcomp.cli.messages import message_of
from latcomp.codec.decode import decode_frames
from latcomp.codec.lat_file import LatFile
from latcomp.codec.settings import DecodeSettings, EncodeSettings
from latcomp.container import Limits
from latcomp.errors import UsageError
from latcomp.models import find_tokenizer
from tests.container.make import groups, header, written

NUMBERS = ("quality", "threshold", "keep", "target_bpp", "min_psnr", "lookahead_lambda", "rdo_lambda")
ODD: tuple[Any, ...] = ("5", b"5", [5], True, 1j, {}, float("nan"), float("inf"), -1, 10**400)
FUNCTIONS: dict[str, tuple[Callable[..., Any], int]] = {
    "encode": (latcomp.encode, 2),
    "decode": (latcomp.decode, 2),
    "decode_frames": (decode_frames, 1),
    "compare": (latcomp.compare, 2),
    "export": (latcomp.export, 2),
    "check": (latcomp.check, 1),
    "repair": (latcomp.repair, 2),
    "open": (latcomp.open, 1),
}  # and how many places each takes
WRONG: dict[str, Any] = {
    "tokenizer": 5,
    "device": 5,
    "fill": ["lit"],
    "force": "no",
    "audio": [],
    "deinterlace": "yes",
    "keep_going": 1,
    "video_track": "0",
    "max_pixels": "8K",
    "limits": 3,
    "progress": 3,
    "amplify": float("nan"),
    "mode": 3,
    "start_seconds": "1",
    "duration_seconds": 10**400,
    "damaged": [],
}


@pytest.mark.parametrize("value", ODD, ids=lambda value: repr(value)[:20])
@pytest.mark.parametrize("name", NUMBERS)
def test_settings_of_an_encoding_are_told(name: str, value: object) -> None:
    with pytest.raises(UsageError, match=f"^{name} .*choose") as told:
        EncodeSettings(**{name: value})
    assert message_of(told.value).startswith(f"--{name.replace('_', '-')} ")


@pytest.mark.parametrize("name", ["lossless", "coding", "reference"])
def test_settings_that_are_no_numbers_are_told(name: str) -> None:
    for value in (None, "no", 1, []):
        with pytest.raises(UsageError, match=f"^{name} .*choose"):
            EncodeSettings(**{name: value})


def test_numbers_of_other_libraries_are_numbers() -> None:
    """And are in the header as they are."""
    found = EncodeSettings(quality=np.float32(7.5), rdo_lambda=Fraction(1, 2))
    assert found == EncodeSettings(quality=7.5, rdo_lambda=0.5) and type(found.quality) is float


@pytest.mark.parametrize(
    ("name", "value"),
    [("crf", "23"), ("crf", 1.5), ("crf", True), ("codec", 5), ("format", 3), ("audio", "no"), ("fill", 3)]
    + [("start_seconds", value) for value in (*ODD, 1e308)]
    + [("duration_seconds", value) for value in ODD],
    ids=lambda value: repr(value)[:20],
)
def test_settings_of_a_decoding_are_told(name: str, value: object) -> None:
    with pytest.raises(UsageError, match=f"^{name} "):
        DecodeSettings(**{name: value})


def parameters(function: Callable[..., Any]) -> set[str]:
    """The names of what a function takes, its settings included."""
    names = set(signature(LatFile if function is latcomp.open else function).parameters)
    return names | (set(DecodeSettings.__dataclass_fields__) if function is latcomp.decode else set())


CASES = [
    (function, name) for function in FUNCTIONS for name in sorted(WRONG) if name in parameters(FUNCTIONS[function][0])
]


@pytest.mark.parametrize(("function", "name"), CASES)
def test_a_wrong_argument_is_told_by_name(function: str, name: str, tmp_path: Path) -> None:
    """Of places that do not exist, so that nothing else is wrong first."""
    called, places = FUNCTIONS[function]
    given = [tmp_path / "in.lat", tmp_path / "out.npz"][:places]
    with pytest.raises(UsageError, match=f"^{name} ") as told:
        for _ in called(*given, **{name: WRONG[name]}):
            pass
    assert told.value.settings in ((name,), ())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("wrong", [None, 5, b"in.lat", [], io.StringIO("x")], ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_place_is_a_path_or_a_binary_file(function: str, wrong: object, tmp_path: Path) -> None:
    called, places = FUNCTIONS[function]
    for place in range(places):
        given: list[object] = [tmp_path / "in.lat", tmp_path / "out.npz"][:places]
        given[place] = wrong
        with pytest.raises(UsageError, match=r"^(source|target|reference|test) .* is (neither a path|not a path)"):
            called(*given)


def test_bounds_are_whole_numbers() -> None:
    for value in ("1", 1.5, True, None, -1):
        with pytest.raises(UsageError, match=r"max_frames .*choose a whole number"):
            Limits(max_frames=value)


def test_a_tokenizer_may_be_given_as_text() -> None:
    """As for `encode`; where it does not hold the file's, the shipped ones are looked through."""
    data, place = written(header(), groups(header(), 2)), find_tokenizer(None)
    found = latcomp.check(io.BytesIO(data), tokenizer=place)
    assert latcomp.check(io.BytesIO(data), tokenizer=str(place)) == found
    for folder in (place, str(place)):
        assert latcomp.repair(io.BytesIO(data), io.BytesIO(), tokenizer=folder).groups == 2
