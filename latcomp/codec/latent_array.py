"""An array of latents as a trainer keeps it, and the float32 numbers that are coded. No torch: its tensors are known by
what they can do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from latcomp.checks import check_word
from latcomp.container.header_fields import DTYPES, LAYOUTS
from latcomp.errors import UsageError


@dataclass(frozen=True)
class LatentArray:
    """Latents, and how they were kept."""

    values: np.ndarray
    """float32 (C, T, h, w): every number as it was."""
    dtype: str
    """'float32', 'float16' or 'bfloat16'."""
    layout: str
    """'CFHW', or 'BCFHW' with a batch of one in front."""

    @classmethod
    def of(cls, latents: Any, dtype: str | None = None, layout: str | None = None) -> LatentArray:
        """That of an array or a torch tensor (C, T, h, w) or (1, C, T, h, w).

        dtype: 'bfloat16' for a float32 array of numbers that are all bfloat16; None: the array's own. layout: None says
        it by the number of dimensions. Raises `UsageError` for other types and shapes, and for numbers that are none of
        the type that is said."""
        if hasattr(latents, "detach"):  # a tensor
            said = str(latents.dtype).removeprefix("torch.")
            latents = latents.detach().cpu()
            array = (latents.float() if said == "bfloat16" else latents).numpy()
        else:
            array = np.asarray(latents)
            said = array.dtype.name
        given = said if dtype is None else dtype
        check_word("dtype", given, DTYPES)
        if said not in (given, "float32"):
            raise UsageError(f"dtype {given!r}: the latents are {said}", settings=("dtype",))
        if array.ndim not in (4, 5) or (array.ndim == 5 and len(array) != 1) or not array.size:
            raise UsageError(f"latents of the shape {array.shape}: (C, T, h, w) or (1, C, T, h, w) is needed")
        shape = LAYOUTS[array.ndim - 4] if layout is None else layout
        check_word("layout", shape, LAYOUTS)
        values = np.ascontiguousarray(array.reshape(array.shape[-4:]), np.float32)
        if said != given and not _same_bits(rounded_to(values, given), values):
            raise UsageError(
                f"dtype {given!r}: the latents have numbers that are none of this type", settings=("dtype",)
            )
        return cls(values, given, shape)

    def comes_back(self) -> bool:
        """Whether these numbers are restored bit for bit: not so for some that are no numbers."""
        again = np.asarray(restored(self.values, self.dtype, "CFHW"), np.float32)
        return _same_bits(again, self.values)


def rounded_to(values: np.ndarray, dtype: str) -> np.ndarray:
    """float32 numbers as the nearest ones of a type, float32 again. Infinite where they are too large for it."""
    if dtype == "float16":
        with np.errstate(over="ignore"):
            return values.astype(np.float16).astype(np.float32)
    if dtype == "bfloat16":
        bits = np.ascontiguousarray(values, "<f4").view("<u4")
        even = bits + (np.uint32(0x7FFF) + (bits >> np.uint32(16) & np.uint32(1)))
        # what is no number stays what it is: rounding would carry into its sign
        rounded = np.where(np.isnan(values), bits, even) & np.uint32(0xFFFF0000)
        return rounded.view("<f4").astype(np.float32, copy=False)
    return values


def restored(values: np.ndarray, dtype: str, layout: str) -> np.ndarray:
    """Latents (C, T, h, w) float32 as they were kept: float16 or float32, for 'bfloat16' float32 of the nearest numbers
    of that type, since NumPy has none; with a batch of one in front where the layout has it."""
    found = rounded_to(values, dtype)
    if dtype == "float16":
        found = found.astype(np.float16)
    return found[None] if layout == "BCFHW" else found


def _same_bits(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether float32 numbers agree bit for bit."""
    left, right = (np.ascontiguousarray(values, "<f4").view("<u4") for values in (one, other))
    return bool(np.array_equal(left, right))
