"""Where networks run: the device that was asked for, its arithmetic, and what to say when its memory is full."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from latcomp.errors import DeviceError, UsageError

if TYPE_CHECKING:
    import torch


def pick_device(name: str) -> torch.device:
    """The device for 'auto', 'cpu', 'cuda' or 'cuda:N'. Raises `UsageError` for other names, `DeviceError` when it is not there."""
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"--device {name!r} is unknown: choose auto, cpu, cuda or cuda:N") from None
    if device.type not in ("cpu", "cuda"):
        raise UsageError(f"--device {name!r} is not supported: choose auto, cpu, cuda or cuda:N")
    if device.type == "cuda" and (not torch.cuda.is_available() or (device.index or 0) >= torch.cuda.device_count()):
        raise DeviceError(f"device {name} is not available here: use --device cpu or auto")
    return device


def decodes_in_bf16(device: torch.device) -> bool:
    """True where bf16 convolutions are faster than fp32: CUDA with bf16, and CPUs with AVX512-bf16 or AMX."""
    import torch

    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    return bool(torch.cpu._is_avx512_bf16_supported())


@contextmanager
def memory_errors(device: torch.device) -> Iterator[None]:
    """Turn an out-of-memory failure into a `DeviceError` that says what to lower."""
    import torch

    try:
        yield
    except (torch.OutOfMemoryError, MemoryError):
        raise DeviceError(f"out of memory on {device}: use --device cpu, or scale the video down first") from None
