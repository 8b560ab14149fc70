"""Files of the safetensors format as raw tensors, every claim of the header checked against the bytes that are there.

The layout is that of huggingface/safetensors: 8 bytes with the length of a JSON header, the header, the values. It is
read here because the numpy side of that package has no bfloat16, and its torch side needs torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from latcomp.datasets.caches.tensors import ITEM_BYTES, RawTensor, bytes_of
from latcomp.errors import NotACacheError

_HEADER_MAX = 100_000_000  # bytes: the bound that the format's own reader has
_ALIGNMENT = 8
_METADATA = "__metadata__"


def parse(data: bytes | memoryview | np.ndarray) -> tuple[dict[str, RawTensor], dict[str, str]]:
    """(tensors by name in the order of their bytes, metadata) of a whole file.

    Raises `NotACacheError` where the header is damaged, claims bytes that are not there, or leaves bytes unclaimed."""
    values = np.frombuffer(data, np.uint8)
    if len(values) < 8:
        raise NotACacheError("is cut off: it has no header")
    size = int.from_bytes(values[:8].tobytes(), "little")
    if size > min(_HEADER_MAX, len(values) - 8):
        raise NotACacheError(f"is no safetensors file, or cut off: its header claims {size} bytes")
    header = _header(values[8 : 8 + size].tobytes())
    metadata = header.pop(_METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise NotACacheError("has a damaged header: its metadata is no table of texts")
    body = values[8 + size :]
    spans = sorted((_span(name, entry) for name, entry in header.items()), key=lambda span: span[:2])
    tensors, end = {}, 0
    for start, stop, name, dtype, shape in spans:
        if start != end:
            raise NotACacheError(f"has a header that lies: tensor {name!r:.80} begins at {start}, not {end}")
        if stop > len(body):
            raise NotACacheError(f"is cut off, or its header lies: tensor {name!r:.80} ends at {stop} of {len(body)}")
        tensors[name] = RawTensor(dtype, shape, body[start:stop])
        end = stop
    if end != len(body):
        raise NotACacheError(f"has a header that lies: {len(body) - end} bytes belong to no tensor")
    return tensors, metadata


def _header(text: bytes) -> dict[str, Any]:
    try:
        header = json.loads(text.decode("utf-8"), object_pairs_hook=_without_doubles)
    except (ValueError, RecursionError) as error:
        if isinstance(error, NotACacheError):
            raise
        raise NotACacheError("is no safetensors file: its header is not JSON") from None
    if not isinstance(header, dict):
        raise NotACacheError("is no safetensors file: its header is no table")
    return header


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        raise NotACacheError("has a header that names a tensor twice")
    return table


def _span(name: str, entry: Any) -> tuple[int, int, str, str, tuple[int, ...]]:
    """(first byte, byte past the last, name, type, shape) of a header's entry."""
    try:
        dtype, shape, (start, stop) = entry["dtype"], entry["shape"], entry["data_offsets"]
        whole = all(type(number) is int and 0 <= number < 2**62 for number in (*shape, start, stop))
    except (TypeError, KeyError, ValueError):
        raise NotACacheError(f"has a damaged header: tensor {name!r:.80}") from None
    if dtype not in ITEM_BYTES or dtype == "C128":
        raise NotACacheError(f"has tensor {name!r:.80} of type {dtype!r:.20}, which is not known")
    if not whole or stop - start != bytes_of(dtype, tuple(shape)):
        raise NotACacheError(f"has a header that lies: the bytes of tensor {name!r:.80} do not fit its shape")
    return start, stop, name, dtype, tuple(shape)


def read(path: Path) -> tuple[dict[str, RawTensor], dict[str, str]]:
    """As `parse`, of a file. Raises `NotACacheError` when it cannot be read."""
    try:
        return parse(np.fromfile(path, np.uint8))
    except OSError as error:
        raise NotACacheError(f"cannot be read: {(error.strerror or str(error)).lower()}") from None


def serialize(tensors: Mapping[str, RawTensor], metadata: Mapping[str, str] | None = None) -> list[bytes]:
    """The parts of a file, to be written one after the other.

    Tensors stand as huggingface/safetensors puts them: the widest types first, those of one type by name."""
    order = sorted(tensors, key=lambda name: (-_rank(tensors[name].dtype), name))
    header: dict[str, Any] = {} if not metadata else {_METADATA: dict(metadata)}
    end = 0
    for name in order:
        tensor = tensors[name]
        header[name] = {
            "dtype": tensor.dtype,
            "shape": list(tensor.shape),
            "data_offsets": [end, end + tensor.data.size],
        }
        end += tensor.data.size
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    text += b" " * (-len(text) % _ALIGNMENT)
    return [len(text).to_bytes(8, "little"), text, *(tensors[name].data.tobytes() for name in order)]


_RANKS = ("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "I16", "U16", "F16", "BF16", "I32", "U32", "F32", "C64", "F64")
_ORDER = {name: rank for rank, name in enumerate((*_RANKS, "I64", "U64"))}


def _rank(dtype: str) -> int:
    """The place of a type in the order of the format's own writer."""
    return _ORDER[dtype]
