"""Checks of options that take numbers, of commands whose settings no library checks."""

from __future__ import annotations

import math
from collections.abc import Callable

import typer


def finite_between(
    low: float, high: float = math.inf, *, open_low: bool = False
) -> Callable[[float | None], float | None]:
    """A check for a number option: finite, at least `low` (above it with `open_low`) and at most `high`.

    Typer's own `min` and `max` let NaN through.
    """
    if math.isinf(high):
        wanted = f"a number above {low:g}" if open_low else f"a number of at least {low:g}"
    else:
        wanted = f"a number above {low:g} and up to {high:g}" if open_low else f"a number from {low:g} to {high:g}"

    def check(value: float | None) -> float | None:
        if value is None:
            return None
        inside = low < value <= high if open_low else low <= value <= high
        if not (math.isfinite(value) and inside):
            raise typer.BadParameter(f"{value:g} is not {wanted}")
        return value

    return check
