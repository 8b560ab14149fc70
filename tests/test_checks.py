"""Protects: a value of any type that is not what was asked for is a named error that tells which one it is."""

from __future__ import annotations

import io
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from latcomp.checks import (
    check_flag,
    check_path,
    check_source,
    check_target,
    check_text,
    check_whole,
    check_word,
    checked_number,
    parsed_json,
)
from latcomp.errors import UsageError


@pytest.mark.parametrize("value", [5, 5.0, np.float32(5), np.int64(5), np.float64(5), Fraction(10, 2)], ids=repr)
def test_numbers_of_all_kinds_are_taken_as_pythons_own(value: object) -> None:
    found = checked_number("size", value, 0, 10, "choose 0 to 10")
    assert type(found) is float and found == 5


@pytest.mark.parametrize("value", ["5", b"5", [5], None, True, 1j, {}, Decimal(5), np.zeros(2)], ids=repr)
def test_what_is_no_number_is_told(value: object) -> None:
    with pytest.raises(UsageError, match=r"^size .* is not a number: choose 0 to 10$") as told:
        checked_number("size", value, 0, 10, "choose 0 to 10")
    assert told.value.settings == ("size",)


@pytest.mark.parametrize("value", [-1, 10.001, float("nan"), float("inf"), -float("inf"), 10**400, -(10**400)], ids=str)
def test_numbers_out_of_range_are_told(value: float) -> None:
    with pytest.raises(UsageError, match=r"^size .* is out of range: choose 0 to 10$"):
        checked_number("size", value, 0, 10, "choose 0 to 10")


def test_the_lower_end_may_be_left_out() -> None:
    assert checked_number("size", 0, 0, 10, "") == 0
    with pytest.raises(UsageError, match="size 0 is out of range"):
        checked_number("size", 0, 0, 10, "", above=True)


def test_other_kinds_of_values_are_told() -> None:
    for check, value, words in (
        (check_flag, "no", "is not a flag"),
        (check_flag, [], "is not a flag"),
        (check_flag, None, "is not a flag"),
        (check_text, 3, "is not a text"),
        (check_path, b"x.lat", "is not a path"),
        (check_source, 5, "is neither a path nor a binary file"),
        (check_source, io.StringIO("x"), "is neither a path nor a binary file"),
        (check_target, None, "is neither a path nor a binary file"),
        (check_target, b"x.lat", "is neither a path nor a binary file"),
    ):
        with pytest.raises(UsageError, match=f"^thing .*{words}: "):
            check("thing", value)
    for value in ("1", 1.0, True, None):
        with pytest.raises(UsageError, match=r"thing .* is not a whole number"):
            check_whole("thing", value, 0, "choose one")
    for value in ("c", 3, ["a"], None):
        with pytest.raises(UsageError, match=r"thing .* is unknown: choose a or b"):
            check_word("thing", value, ("a", "b"))


def test_what_fits_passes() -> None:
    check_flag("thing", False)
    check_text("thing", "")
    check_whole("thing", 10**30, 0, "")
    check_word("thing", "a", ("a", "b"))
    for value in ("x", Path("x"), io.BytesIO()):
        check_source("thing", value)
        check_target("thing", value)


def test_json_is_read_as_it_is_defined() -> None:
    """Python takes more than JSON has; a configuration with a NaN in it would be hashed and coded with."""
    assert parsed_json(b'\xef\xbb\xbf{"a": [1, 2.5, null]}') == {"a": [1, 2.5, None]}
    for text in (b"", b"{", b"\xff", b"[NaN]", b"[-Infinity]", b"[1e999]", b"[" * 200_000):
        with pytest.raises(ValueError):
            parsed_json(text)
