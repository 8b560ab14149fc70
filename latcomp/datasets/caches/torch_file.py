"""Files of torch.save, read with weights_only: tensors and plain Python values, and nothing that could run code."""

from __future__ import annotations

import io
import re
import warnings
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, BinaryIO

from latcomp.datasets.caches.tensors import RawTensor, from_torch, to_torch
from latcomp.errors import NotACacheError, UnsupportedFileError

_REFUSED = re.compile(r"GLOBAL ([\w.]+)|weights_only", re.IGNORECASE)  # in the words of torch
_ZIP, _PICKLE = b"PK\x03\x04", b"\x80"  # what such files begin with
_DEEPEST = 64


def read(file: BinaryIO) -> Any:
    """What torch.save wrote, with `RawTensor`s for tensors.

    Nothing is run: a file that asks for another type than tensors, numbers, texts and their containers is refused.
    Raises `NotACacheError` for such files, and for those that are cut off or no files of torch.save;
    `UnsupportedFileError` for tensors that have no plain bytes."""
    import torch

    head = file.read(4)
    file.seek(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of old formats
            return _mapped(torch.load(file, map_location="cpu", weights_only=True), torch.Tensor, from_torch)
    except UnsupportedFileError:
        raise
    except MemoryError:
        raise
    except Exception as error:  # what damaged bytes raise in torch has many names
        asks = type(error).__name__ == "UnpicklingError" or _REFUSED.search(str(error))
        if asks and head.startswith((_ZIP, _PICKLE)):
            raise NotACacheError(_why(str(error))) from None
        raise NotACacheError("is cut off, damaged, or no file of torch.save") from None


def write(value: Any) -> bytes:
    """The bytes of torch.save, `RawTensor`s being tensors again."""
    import torch

    buffer = io.BytesIO()
    torch.save(_mapped(value, RawTensor, to_torch), buffer)
    return buffer.getvalue()


def is_torch_zip(head: bytes) -> bool:
    """Whether a file that begins so may be one of torch.save."""
    return head.startswith(_ZIP)


def _mapped(value: Any, kind: type, change: Callable[[Any], Any]) -> Any:
    """The value with all of `kind` in its containers changed, what is in several places once."""
    made: dict[int, Any] = {}

    def mapped(one: Any, depth: int) -> Any:
        if depth > _DEEPEST:
            raise UnsupportedFileError("holds values that are nested too deep")
        if id(one) not in made:
            made[id(one)] = (one, changed(one, depth + 1))  # the old one lives on: its id stays its own
        return made[id(one)][1]

    def changed(one: Any, depth: int) -> Any:
        if isinstance(one, kind):
            return change(one)
        if type(one) in (list, tuple, set, frozenset):
            return type(one)(mapped(item, depth) for item in one)
        if isinstance(one, dict):
            table: dict[Any, Any] = OrderedDict() if isinstance(one, OrderedDict) else {}
            table.update((key, mapped(item, depth)) for key, item in one.items())
            return table
        return one

    return mapped(value, 0)


def _why(text: str) -> str:
    """One line on a pickle that was refused."""
    found = re.search(r"GLOBAL ([\w.]+)", text)
    name = f" ({found[1]:.80})" if found else ""
    return f"holds Python objects that are not read{name}: only tensors, numbers and texts are, and nothing was run"
