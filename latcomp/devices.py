"""Where networks run: the device that was asked for, its arithmetic, and what to say when its memory is full."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from latcomp.errors import DeviceError, UsageError

if TYPE_CHECKING:
    import torch

# What PyTorch and the libraries below it say when memory is short, where it is no exception of its own: an allocation
# on the CPU, CUDA's own memory (a context, a kernel's stack), cuBLAS, cuDNN and oneDNN. Lower case.
_MEMORY_WORDS = (
    "out of memory",
    "can't allocate memory",
    "cannot allocate memory",
    "failed to allocate memory",
    "std::bad_alloc",
    "_alloc_failed",
    "allocation_failed",
    "could not create a memory object",
    # what cuBLAS and cuDNN say when there is no room for a handle or for any algorithm's workspace
    "cublas_status_not_initialized",
    "cudnn_status_not_initialized",
    "unable to find a valid cudnn algorithm",
)
_UNFIT_WORDS = (
    "no kernel image is available",
    "invalid device function",
    "driver version is insufficient",
    "driver on your system is too old",
)
BF16_CAPABILITY = 8, 0  # of NVIDIA's GPUs: those before only pretend, and are slower so


def pick_device(name: str) -> torch.device:
    """The device for 'auto', 'cpu', 'cuda' or 'cuda:N'. Raises `UsageError` for other names, `DeviceError` when it is
    not there.
    """
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    found = re.fullmatch(r"cpu|cuda(?::(0|[1-9]\d*))?", name) if isinstance(name, str) else None
    if found is None:
        raise UsageError(f"device {name!r} is unknown: choose auto, cpu, cuda or cuda:N", settings=("device",))
    # the number is compared here: torch.device takes cuda:256 for cuda:0
    if name != "cpu" and (not torch.cuda.is_available() or int(found[1] or 0) >= torch.cuda.device_count()):
        raise DeviceError(
            f"device {name} is not available here: use device='cpu' or device='auto'",
            settings=("device='cpu'", "device='auto'"),
        )
    return torch.device(name)


def decodes_in_bf16(device: torch.device) -> bool:
    """True where bf16 convolutions are faster than fp32: GPUs since Ampere, AMD's, and CPUs with AVX512-bf16 or AMX."""
    import torch

    if device.type == "cuda":
        return bool(torch.version.hip) or torch.cuda.get_device_capability(device) >= BF16_CAPABILITY
    return bool(torch.cpu._is_avx512_bf16_supported())


_exact_lock = threading.Lock()
_exact_users = 0
_exact_before: list[tuple[Any, str, Any]] = []


@contextmanager
def exact_fp32() -> Iterator[None]:
    """A GPU multiplies in full fp32 and takes the same algorithm each time.

    Left alone, its convolutions round what goes in to ten bits (TF32), matrix products do so where somebody allowed it,
    and cuDNN may choose by a race. The switches are those of the whole process: the first to enter sets them, the last
    to leave sets them back."""
    global _exact_users, _exact_before
    with _exact_lock:
        if _exact_users == 0:
            wanted = _exact_switches()
            _exact_before = [(place, name, getattr(place, name)) for place, name, _ in wanted]
            for place, name, value in wanted:
                setattr(place, name, value)
        _exact_users += 1
    try:
        yield
    finally:
        with _exact_lock:
            _exact_users -= 1
            if _exact_users == 0:
                for place, name, value in _exact_before:
                    setattr(place, name, value)


def _exact_switches() -> list[tuple[Any, str, Any]]:
    """(where, name, value) of each switch."""
    import torch

    cudnn: Any = torch.backends.cudnn
    matmul: Any = torch.backends.cuda.matmul
    plain = [(cudnn, "enabled", True), (cudnn, "benchmark", False), (cudnn, "deterministic", True)]
    if hasattr(
        matmul, "fp32_precision"
    ):  # PyTorch 2.9 and later, where the older switches cannot be read once these were used
        return [*plain, *((place, "fp32_precision", "ieee") for place in (cudnn.conv, cudnn.rnn, matmul))]
    return [*plain, (cudnn, "allow_tf32", False), (matmul, "allow_tf32", False)]


@contextmanager
def memory_errors(device: torch.device) -> Iterator[None]:
    """Turn an out-of-memory failure, or a GPU that PyTorch was not built for, into a `DeviceError` that says what to
    do.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        failure = device_failure(error, str(device))
        if failure is None:
            raise
        raise failure from None


def device_failure(error: BaseException, device: str | None = None) -> DeviceError | None:
    """What an error of PyTorch or Python says of the device in the tool's own words; None when it is of another kind.
    Imports nothing.

    device: where the work was done; None where that is not known.
    """
    text = str(error).lower()
    if isinstance(error, RuntimeError) and any(words in text for words in _UNFIT_WORDS):
        return DeviceError(
            f"this PyTorch cannot use the GPU ({str(error).splitlines()[0]}): use device='cpu'",
            settings=("device='cpu'",),
        )
    full = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    if not full and not (isinstance(error, RuntimeError) and any(words in text for words in _MEMORY_WORDS)):
        return None
    where = "" if device is None else f" on {device}"
    lower = "scale the video down first, or run fewer jobs at once"
    if device == "cpu":
        return DeviceError(f"out of memory{where}: {lower}")
    return DeviceError(f"out of memory{where}: use device='cpu', or {lower}", settings=("device='cpu'",))
