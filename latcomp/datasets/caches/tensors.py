"""A tensor as bytes, with the type and shape that its file gave it: what no array of numpy holds (bfloat16, float8)
passes through unchanged, without torch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from latcomp.errors import UnsupportedFileError

ITEM_BYTES = {
    "BOOL": 1,
    "U8": 1,
    "I8": 1,
    "F8_E4M3": 1,
    "F8_E5M2": 1,
    "U16": 2,
    "I16": 2,
    "F16": 2,
    "BF16": 2,
    "U32": 4,
    "I32": 4,
    "F32": 4,
    "U64": 8,
    "I64": 8,
    "F64": 8,
    "C64": 8,
    "C128": 16,
}
"""Types by the names that safetensors files have for them (C128, of torch, is in none), with their bytes a value."""

_TORCH_NAMES = {
    "bool": "BOOL",
    "uint8": "U8",
    "int8": "I8",
    "float8_e4m3fn": "F8_E4M3",
    "float8_e5m2": "F8_E5M2",
    "uint16": "U16",
    "int16": "I16",
    "float16": "F16",
    "bfloat16": "BF16",
    "uint32": "U32",
    "int32": "I32",
    "float32": "F32",
    "uint64": "U64",
    "int64": "I64",
    "float64": "F64",
    "complex64": "C64",
    "complex128": "C128",
}
_FLOATS: dict[str, Any] = {"F16": np.float16, "F32": np.float32, "F64": np.float64}
LATENT_DTYPES = ("F16", "BF16", "F32", "F64")
"""Types that latents may have."""


@dataclass(frozen=True, eq=False)
class RawTensor:
    """Type, shape and bytes of a tensor, contiguous and little-endian."""

    dtype: str
    """A key of `ITEM_BYTES`."""
    shape: tuple[int, ...]
    data: np.ndarray
    """(bytes,) uint8."""

    def __repr__(self) -> str:
        return f"RawTensor({self.dtype}, {'x'.join(map(str, self.shape)) or 'scalar'})"

    def to_float32(self) -> np.ndarray:
        """The values of a floating-point tensor as float32, in its shape. Raises `UnsupportedFileError` for other
        types.
        """
        if self.dtype == "BF16":
            wide = self.data.view("<u2").astype(np.uint32) << 16
            return wide.view(np.float32).reshape(self.shape)
        if self.dtype not in _FLOATS:
            raise UnsupportedFileError(
                f"latents are of type {self.dtype}: they are taken as {', '.join(LATENT_DTYPES)}"
            )
        values = self.data.view(np.dtype(_FLOATS[self.dtype]).newbyteorder("<")).reshape(self.shape)
        with np.errstate(over="ignore"):
            return np.asarray(values, np.float32)

    @classmethod
    def from_float32(cls, values: np.ndarray, dtype: str) -> RawTensor:
        """Float32 values rounded to a type of `LATENT_DTYPES`, to the nearest and to even where two are as near."""
        values = np.ascontiguousarray(values, np.float32)
        if dtype == "BF16":
            bits = values.view(np.uint32)
            rounded = (bits + (0x7FFF + ((bits >> 16) & 1))) >> 16
            upper = bits >> 16
            # what is no number keeps its bits; where they are all in the lower half it would become infinite
            kept = np.where(upper & 0x7F, upper, upper | 0x40)
            narrow = np.where(np.isnan(values), kept, rounded).astype("<u2")
        else:
            with np.errstate(over="ignore"):
                narrow = values.astype(np.dtype(_FLOATS[dtype]).newbyteorder("<"))
        return cls(dtype, values.shape, np.ascontiguousarray(narrow).reshape(-1).view(np.uint8))

    def reshaped(self, *shape: int) -> RawTensor:
        """The same values in another shape."""
        return RawTensor(self.dtype, shape, self.data)

    def equals(self, other: RawTensor) -> bool:
        """Whether type, shape and every bit are the same."""
        return (self.dtype, self.shape) == (other.dtype, other.shape) and bool(np.array_equal(self.data, other.data))


def bytes_of(dtype: str, shape: tuple[int, ...]) -> int:
    """Bytes that a tensor of this type and shape has."""
    return ITEM_BYTES[dtype] * math.prod(shape)


def from_torch(tensor: Any) -> RawTensor:
    """A torch tensor, dense and on the CPU, as bytes; views become contiguous. Raises `UnsupportedFileError` for a type
    or layout that has no plain bytes.
    """
    import torch

    name = str(tensor.dtype).removeprefix("torch.")
    if name not in _TORCH_NAMES or tensor.layout != torch.strided or tensor.is_quantized:
        raise UnsupportedFileError(f"a tensor of type {name} ({tensor.layout}) cannot be carried")
    plain = tensor.detach().resolve_conj().resolve_neg().contiguous().reshape(-1)
    data = plain.view(torch.uint8).numpy() if plain.numel() else np.empty(0, np.uint8)
    return RawTensor(_TORCH_NAMES[name], tuple(tensor.shape), data)


def to_torch(tensor: RawTensor) -> Any:
    """The tensor as torch has it, with memory of its own."""
    import torch

    dtype = torch_dtype(tensor.dtype)
    if not tensor.data.size:
        return torch.empty(tensor.shape, dtype=dtype)
    return torch.from_numpy(tensor.data.copy()).view(dtype).reshape(tensor.shape)


def torch_dtype(dtype: str) -> Any:
    """The torch.dtype of a name that safetensors files have for it."""
    import torch

    return getattr(torch, torch_name(dtype))


def torch_name(dtype: str) -> str:
    """The name that torch, numpy and attachments of .lat files have for a type."""
    return next(name for name, ours in _TORCH_NAMES.items() if ours == dtype)


def of_torch_name(name: str) -> str:
    """The way back of `torch_name`."""
    return _TORCH_NAMES[name]


def dtype_of_torch(dtype: Any) -> str:
    """The name of a torch.dtype in safetensors files. Raises `UnsupportedFileError` for one that has none."""
    name = str(dtype).removeprefix("torch.")
    if name not in _TORCH_NAMES:
        raise UnsupportedFileError(f"the type {name} cannot be carried")
    return _TORCH_NAMES[name]
