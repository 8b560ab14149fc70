"""Imports of a command's own process: what they make is never searched for garbage."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def kept_imports() -> Iterator[None]:
    """What is imported inside stays until the process ends, so the collector of garbage passes it by.

    torch makes half a million objects that refer to one another. Searching them again and again while they are made,
    and once more when the interpreter ends, takes a third of the whole time of a short command. This is for a process
    of ours: every object that is there already is kept, too. Where torch is there already, nothing is done."""
    if "torch" in sys.modules or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()
