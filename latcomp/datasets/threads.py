"""One thread for NumPy's matrix products in a worker of a DataLoader, as PyTorch has it for its own."""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path

import numpy as np

_FOLDERS = ("../numpy.libs", ".dylibs")  # where the wheels of Linux and macOS have OpenBLAS
_SETTERS = tuple(
    f"{prefix}openblas_set_num_threads{suffix}" for prefix in ("scipy_", "") for suffix in ("64_", "_64", "")
)


@cache
def one_blas_thread() -> bool:
    """Have NumPy's OpenBLAS take one thread in this process; gives whether it was found.

    Each of its threads waits for the others by spinning: with as many in every worker as the machine has cores, the
    small products of the prior take ten times as long. A NumPy built with another library looks at its own environment
    variables, and that is left to who set them."""
    home = Path(np.__file__).parent
    for library in (each for folder in _FOLDERS for each in sorted((home / folder).glob("*openblas*"))):
        try:
            loaded = ctypes.CDLL(str(library))
        except OSError:
            continue
        for name in _SETTERS:
            setter = getattr(loaded, name, None)
            if setter is not None:
                setter.argtypes, setter.restype = [ctypes.c_int], None
                setter(1)
                return True
    return False
