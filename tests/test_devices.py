"""Protects the device: names are checked, memory errors of every library are told as such, and switches of the process
are given back.
"""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from latcomp import models
from latcomp.devices import _exact_switches, decodes_in_bf16, device_failure, exact_fp32, memory_errors, pick_device
from latcomp.errors import DeviceError, UsageError
from latcomp.models import loading


def values() -> list[object]:
    return [getattr(place, name) for place, name, _ in _exact_switches()]


WANTED = [value for *_, value in _exact_switches()]


@pytest.mark.parametrize("name", ["gpu", "mps", "meta", "cuda:", "cuda:-1", "cuda:01", "cuda:x", "CUDA", "", "cpu:1"])
def test_unknown_names_are_a_matter_of_usage(name: str) -> None:
    with pytest.raises(UsageError, match="auto, cpu, cuda or cuda:N"):
        pick_device(name)


@pytest.mark.parametrize("name", ["cuda:128", "cuda:255", "cuda:256", "cuda:512", "cuda:999"])
def test_numbers_that_pytorch_takes_for_others_are_not_there(name: str) -> None:
    """torch.device reads cuda:256 as cuda:0, and cuda:128 as a negative number that is below any count."""
    with pytest.raises(DeviceError, match=f"{name} is not available"):
        pick_device(name)


def test_a_gpu_by_its_number_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert pick_device("auto") == pick_device("cuda") == torch.device("cuda")
    assert pick_device("cuda:1") == torch.device("cuda", 1)
    with pytest.raises(DeviceError):
        pick_device("cuda:2")


@pytest.mark.parametrize(("capability", "fast"), [((7, 5), False), ((8, 0), True), ((9, 0), True)])
def test_bf16_where_it_is_built_in(capability: tuple[int, int], fast: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch calls it supported on older GPUs too, where it is emulated; and it asks the first GPU, whichever is
    meant.
    """
    asked: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: asked.append(device) or capability)
    assert decodes_in_bf16(torch.device("cuda:1")) is fast
    assert asked == [torch.device("cuda:1")]


MESSAGES = [
    "CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of 79.10 GiB",
    "CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported at some other API call",
    "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
    "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
    "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
    "Unable to find a valid cuDNN algorithm to run convolution",
    "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate "
    "4000 bytes.",
    "std::bad_alloc",
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message[:40])
def test_what_the_libraries_say_when_memory_is_short(message: str) -> None:
    with pytest.raises(DeviceError, match="out of memory on cuda:1: use device='cpu', or scale the video down"):
        with memory_errors(torch.device("cuda:1")):
            raise RuntimeError(message)


def test_real_allocations_that_fail_are_told_apart_from_other_errors() -> None:
    """PyTorch's on a CPU is a plain RuntimeError, numpy's a MemoryError."""
    for allocate in (lambda: torch.empty(2**50), lambda: np.empty(2**50)):
        with (
            pytest.raises(DeviceError, match="out of memory on cpu: scale the video down"),
            memory_errors(torch.device("cpu")),
        ):
            allocate()
    with pytest.raises(RuntimeError, match="size of tensor"), memory_errors(torch.device("cpu")):
        torch.zeros(2) + torch.zeros(3)


def test_a_gpu_that_this_pytorch_was_not_built_for_is_told() -> None:
    failure = device_failure(RuntimeError("CUDA error: no kernel image is available for execution on the device\nmore"))
    assert (
        failure is not None
        and "no kernel image" in str(failure)
        and "device='cpu'" in str(failure)
        and "more" not in str(failure)
    )
    assert device_failure(RuntimeError("CUDA error: an illegal memory access was encountered")) is None
    assert device_failure(ValueError("out of memory")) is None


def test_models_that_do_not_fit_are_no_broken_models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A folder is called broken for what is in it, not for memory that was short."""
    monkeypatch.setattr(loading, "checked_weights", lambda folder: torch.empty(2**50))
    with pytest.raises(DeviceError), memory_errors(torch.device("cpu")):
        models.load_tokenizer(models.find_tokenizer(None))


def test_switches_are_set_inside_and_given_back() -> None:
    before = values()
    assert before != WANTED
    with exact_fp32():
        assert values() == WANTED
        with exact_fp32():
            assert values() == WANTED
        assert values() == WANTED
    assert values() == before
    with pytest.raises(ValueError, match="inside"), exact_fp32():
        raise ValueError("inside")
    assert values() == before


def test_one_encoding_that_ends_does_not_take_exactness_from_another() -> None:
    """The switches are the whole process's: of two threads the last to leave sets them back."""
    before, inside, leave = values(), threading.Event(), threading.Event()

    def other() -> None:
        with exact_fp32():
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    with exact_fp32():
        thread.start()
        assert inside.wait(10)
    assert values() == WANTED
    leave.set()
    thread.join()
    assert values() == before


@pytest.mark.skipif(not hasattr(torch.backends.cuda.matmul, "fp32_precision"), reason="PyTorch 2.9")
def test_newer_switches_that_a_program_used_are_no_obstacle() -> None:
    """Once these differ from each other, PyTorch refuses to read the older ones."""
    places, plain = (torch.backends.cudnn.rnn, torch.backends.cuda.matmul), values()
    kept = [place.fp32_precision for place in places]
    try:
        for place, precision in zip(places, ("ieee", "tf32"), strict=True):
            place.fp32_precision = precision
        before = values()
        with exact_fp32():
            assert values() == WANTED
        assert values() == before != plain
    finally:
        for place, precision in zip(places, kept, strict=True):
            place.fp32_precision = precision
    assert torch.backends.cudnn.allow_tf32, "the older switch can be read again"
