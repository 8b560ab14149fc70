"""CUDA that computes nothing: the code runs as it would on a GPU, and tensors that meet on different devices are an
error as there.

Under PyTorch's FakeTensorMode tensors have a device, a type and a shape, and no values. What this adds is what a build
for CPUs alone lacks (moving to the device, indexing) and what needs values: where the code reads some back, it gets
noise of the right shape."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode, unset_fake_temporarily
from torch.overrides import TorchFunctionMode

from latcomp.models import loading

CAPABILITY = 9, 0  # of the GPU that there seems to be


@contextmanager
def fake_cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """One GPU inside. Gives what was asked of it: "to" (moved there), "back" (read back), "bf16" (autocast)."""
    asked: list[str] = []
    for name, value in {
        "is_available": True,
        "device_count": 1,
        "current_device": 0,
        "is_bf16_supported": True,
        "get_device_capability": CAPABILITY,
        "get_device_name": "no GPU at all",
        "synchronize": None,
        "reset_peak_memory_stats": None,
        "max_memory_allocated": 1,
    }.items():
        monkeypatch.setattr(torch.cuda, name, lambda *_, value=value: value)
    load = loading.load_module
    monkeypatch.setattr(loading, "load_module", lambda *arguments: _with_values(load, *arguments))
    move = nn.Module.to
    monkeypatch.setattr(nn.Module, "to", lambda self, *wanted, **more: _moved(self, move, *wanted, **more))
    with FakeTensorMode(allow_non_fake_inputs=True), _Values(asked):
        yield asked


def _with_values(load: Callable[..., Any], *arguments: Any) -> Any:
    """A model as it is loaded everywhere, with its weights: it is moved afterwards."""
    with unset_fake_temporarily():
        return load(*arguments)


def _moved(module: nn.Module, move: Callable[..., nn.Module], *wanted: Any, **more: Any) -> nn.Module:
    """What `Module.to` does: every parameter and every buffer goes to the device, and nothing else does."""
    if not (wanted and isinstance(wanted[0], torch.device) and wanted[0].type == "cuda"):
        return move(module, *wanted, **more)
    for part in module.modules():
        for name, parameter in part._parameters.items():
            if parameter is not None:
                part._parameters[name] = nn.Parameter(_like(parameter, wanted[0]), requires_grad=False)
        for name, buffer in part._buffers.items():
            if buffer is not None:
                part._buffers[name] = _like(buffer, wanted[0])
    return module


def _like(tensor: Tensor, device: torch.device) -> Tensor:
    return torch.empty_strided(tensor.size(), tensor.stride(), dtype=tensor.dtype, device=device)


class _Values(TorchFunctionMode):
    """Stands in where a tensor goes to the device, comes back or is read."""

    def __init__(self, asked: list[str]) -> None:
        super().__init__()
        self.asked = asked
        self.noise = np.random.default_rng(0)

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        tensor = args[0] if args and isinstance(args[0], Tensor) else None
        if func is torch.tensor and kwargs.get("device") is not None and torch.device(kwargs["device"]).type == "cuda":
            self.asked.append("to")
            plain = torch.from_numpy(
                np.asarray(args[0], np.float32 if np.asarray(args[0]).dtype == np.float64 else None)
            )
            return torch.empty(plain.shape, dtype=kwargs.get("dtype", plain.dtype), device="cuda")
        if tensor is None:
            return func(*args, **kwargs)
        if torch.is_autocast_enabled("cuda") and tensor.device.type == "cuda":
            self.asked.append("bf16")
        if func is Tensor.to:
            return self._to(tensor, *args[1:], **kwargs)
        if not isinstance(tensor, FakeTensor):
            return func(*args, **kwargs)
        if func is Tensor.cpu:
            self.asked.append("back")
            return torch.empty(tensor.shape, dtype=tensor.dtype)
        if func in (Tensor.numpy, Tensor.__array__):
            if tensor.device.type != "cpu":
                raise TypeError(f"can't convert {tensor.device} device type tensor to numpy")
            return self._noise(tensor)
        if func in (Tensor.__float__, Tensor.item):
            self.asked.append("back")
            return float(self.noise.uniform(1, 2))
        if func is Tensor.contiguous:
            return tensor.clone(memory_format=kwargs.get("memory_format", torch.contiguous_format))
        if func is Tensor.__getitem__:
            return _item(tensor, args[1])
        if func is Tensor.__setitem__:
            return torch.add(
                _item(tensor, args[1]), args[2]
            ).shape  # for its checks of device and shape: there is nothing to write
        return func(*args, **kwargs)

    def _to(self, tensor: Tensor, *wanted: Any, **more: Any) -> Tensor:
        device, dtype = more.get("device"), more.get("dtype", tensor.dtype)
        for one in wanted:
            if isinstance(one, torch.device | str):
                device = one
            elif isinstance(one, torch.dtype):
                dtype = one
        device = tensor.device if device is None else torch.device(device)
        if device.type == tensor.device.type:
            return tensor if dtype == tensor.dtype else torch.empty_like(tensor, dtype=dtype)
        self.asked.append("to" if device.type == "cuda" else "back")
        return torch.empty(tensor.shape, dtype=dtype, device=device)

    def _noise(self, tensor: Tensor) -> np.ndarray:
        shape = tuple(tensor.shape)
        if tensor.dtype == torch.uint8:
            return self.noise.integers(0, 256, shape, np.uint8)
        return self.noise.normal(0, 3, shape).astype(np.float32)


def _item(tensor: Tensor, key: Any) -> Tensor:
    """tensor[key] by operators that need no CUDA to be built in; key: whole numbers, slices, None, one ellipsis,
    tensors.
    """
    keys = key if isinstance(key, tuple) else (key,)
    given = sum(part is not None and part is not Ellipsis for part in keys)
    found, dim, places = tensor, 0, []
    for part in keys:
        for one in [slice(None)] * (tensor.dim() - given) if part is Ellipsis else [part]:
            if isinstance(one, int):
                found = found.select(dim, one)
                continue
            if one is None:
                found = found.unsqueeze(dim)
            elif isinstance(one, slice):
                found = torch.ops.aten.slice(found, dim, one.start, one.stop, one.step or 1)
            places.append(one if isinstance(one, Tensor) else None)
            dim += 1
    return found if all(place is None for place in places) else torch.ops.aten.index(found, places)
