"""Protects: a run that is interrupted while its threads start can still end."""

from __future__ import annotations

import subprocess
import sys

INTERRUPTED = """
import threading
from latcomp.tokenizer.cv8x8x4 import exact

class Interrupted(threading.Barrier):
    def wait(self, timeout=None):
        if threading.current_thread() is threading.main_thread():
            raise KeyboardInterrupt
        return super().wait(timeout)

threading.Barrier = Interrupted
try:
    exact._pool()
except KeyboardInterrupt:
    print("interrupted")
"""


def test_ctrl_c_while_threads_start_ends_the_process() -> None:
    """At its end Python waits for all threads of a pool: none of them may be waiting for the one that was stopped."""
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "interrupted\n"), done.stderr
