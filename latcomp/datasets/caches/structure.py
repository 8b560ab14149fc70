"""Nested Python values with tensors in them (what torch.save stores) as JSON and a flat table of tensors, and back.

What JSON has is written as it is; the rest stands in an object with one member that names its type. No pickle is kept
in a .lat file."""

from __future__ import annotations

import base64
import math
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from latcomp.datasets.caches.tensors import RawTensor, dtype_of_torch, torch_dtype
from latcomp.errors import NotACacheError, UnsupportedFileError

_DEEPEST = 64
_LONGEST_NAME = 200
_MOST_VALUES = 100_000  # a few bytes of a file can name one list in another many times over

Tensors = dict[str, RawTensor]


class LatentPlace:
    """Stands in a structure where the latents were taken out."""

    def __repr__(self) -> str:
        return "LatentPlace()"


class _Flattener:
    def __init__(self, reserved: tuple[str, ...]) -> None:
        self.tensors: Tensors = {}
        self._reserved = reserved
        self._values = 0

    def flatten(self, value: Any, name: str, depth: int = 0) -> Any:
        """JSON of a value; its tensors are put aside under names that tell where they were."""
        self._values += 1
        if depth > _DEEPEST or self._values > _MOST_VALUES:
            raise UnsupportedFileError("holds values that are nested too deep, or too many of them")
        if value is None or isinstance(value, bool | str) or type(value) is int:
            return value
        if isinstance(value, float):
            return value if math.isfinite(value) else {"float": str(value)}
        if isinstance(value, RawTensor):
            taken = not name or name in self.tensors or name in self._reserved
            free = f"{name:.{_LONGEST_NAME}}#{len(self.tensors)}" if taken or len(name) > _LONGEST_NAME else name
            self.tensors[free] = value
            return {"tensor": free}
        if isinstance(value, LatentPlace):
            return {"latents": True}
        if isinstance(value, bytes | bytearray):
            return {"bytes": base64.b64encode(value).decode("ascii")}
        if type(value) is list or type(value) is tuple:
            items = [self.flatten(item, f"{name}/{place}", depth + 1) for place, item in enumerate(value)]
            return items if type(value) is list else {"tuple": items}
        if isinstance(value, dict):
            pairs = [
                [self.flatten(key, name, depth + 1), self.flatten(item, _below(name, key), depth + 1)]
                for key, item in value.items()
            ]
            return {"ordered" if isinstance(value, OrderedDict) else "dict": pairs}
        if isinstance(value, set | frozenset):
            return {type(value).__name__: [self.flatten(item, name, depth + 1) for item in value]}
        return self._of_torch(value)

    def _of_torch(self, value: Any) -> Any:
        kind = f"{type(value).__module__}.{type(value).__qualname__}"
        if kind == "torch.dtype":
            return {"dtype": dtype_of_torch(value)}
        if kind == "torch.Size":
            return {"size": list(value)}
        raise UnsupportedFileError(f"holds a value of type {kind:.80}, which cannot be carried")


def _below(name: str, key: object) -> str:
    return f"{name}/{key}" if name else str(key)


def flatten(value: Any, reserved: tuple[str, ...] = ()) -> tuple[Any, Tensors]:
    """(JSON, tensors by name) of nested dicts, lists, tuples, sets, numbers, texts and tensors.

    reserved: names that no tensor gets. Raises `UnsupportedFileError` for a value of another type, and for values that
    are too many or nested too deep."""
    flattener = _Flattener(reserved)
    return flattener.flatten(value, ""), flattener.tensors


def build(data: Any, tensors: Tensors, latents: Any) -> Any:
    """The value of which `flatten` made `data` and `tensors`, with `latents` in their place. Raises `NotACacheError`
    for what `flatten` does not make.
    """
    if isinstance(data, list):
        return [build(item, tensors, latents) for item in data]
    if not isinstance(data, dict):
        return data
    try:
        ((kind, content),) = data.items()
        return _MAKERS[kind](content, lambda item: build(item, tensors, latents), tensors, latents)
    except (ValueError, KeyError, TypeError):
        raise NotACacheError("carries a description of its cache that is damaged") from None


_Build = Callable[[Any], Any]
_MAKERS: dict[str, Callable[[Any, _Build, Tensors, Any], Any]] = {
    "float": lambda text, *_: float(text),
    "tensor": lambda name, _, tensors, __: tensors[name],
    "latents": lambda _, __, ___, latents: latents,
    "bytes": lambda text, *_: base64.b64decode(text, validate=True),
    "tuple": lambda items, make, *_: tuple(map(make, items)),
    "set": lambda items, make, *_: set(map(make, items)),
    "frozenset": lambda items, make, *_: frozenset(map(make, items)),
    "dict": lambda pairs, make, *_: {make(key): make(item) for key, item in pairs},
    "ordered": lambda pairs, make, *_: OrderedDict((make(key), make(item)) for key, item in pairs),
    "dtype": lambda name, *_: torch_dtype(name),
    "size": lambda items, *_: _size(items),
}


def _size(items: list[int]) -> Any:
    import torch

    return torch.Size(items)
