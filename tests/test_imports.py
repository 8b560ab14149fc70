"""Protects: what a command imports is left to the end of its process, and garbage is collected again after it."""

from __future__ import annotations

import gc
import subprocess
import sys

import pytest

from latcomp.imports import kept_imports


def test_what_is_imported_is_kept_and_collection_goes_on() -> None:
    """In a process of its own, since nothing of this one shall be kept."""
    code = """
import gc
from latcomp.imports import kept_imports
before = gc.get_freeze_count()
with kept_imports():
    assert not gc.isenabled()
    import argparse
assert gc.isenabled() and gc.get_freeze_count() > before

class Ring:
    gone = 0
    def __init__(self):
        self.me = self
    def __del__(self):
        Ring.gone += 1

Ring()
gc.collect()
assert Ring.gone == 1
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_a_failed_import_leaves_collection_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    kept = gc.get_freeze_count()
    with pytest.raises(ModuleNotFoundError):
        with kept_imports():
            import latcomp.no_such_module  # type: ignore[import-not-found]  # noqa: F401
    assert gc.isenabled() and gc.get_freeze_count() == kept


def test_nothing_of_a_process_that_has_torch_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is somebody else's, who may count on objects of his being collected."""
    monkeypatch.setitem(sys.modules, "torch", sys)
    kept = gc.get_freeze_count()
    with kept_imports():
        assert gc.isenabled()
    assert gc.get_freeze_count() == kept


def test_a_process_that_collects_nothing_is_left_so() -> None:
    code = """
import gc
from latcomp.imports import kept_imports
gc.disable()
with kept_imports():
    pass
assert not gc.isenabled() and not gc.get_freeze_count()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
