"""Protects that NumPy's OpenBLAS takes one thread where it is told to, in a process of its own: it would stay so."""

from __future__ import annotations

import os
import subprocess
import sys

CODE = """
import ctypes, sys
from pathlib import Path
import numpy as np
from latcomp.datasets.threads import one_blas_thread

found = one_blas_thread()
for library in (Path(np.__file__).parent / "../numpy.libs").glob("*openblas*"):
    getter = getattr(ctypes.CDLL(str(library)), "scipy_openblas_get_num_threads64_", None)
    if getter is not None:
        sys.exit(0 if found and getter() == 1 else f"{found}, {getter()} threads")
"""


def test_openblas_takes_one_thread() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    done = subprocess.run([sys.executable, "-c", CODE], env=environment | {"OPENBLAS_NUM_THREADS": "2"}, timeout=60)
    assert done.returncode == 0
