"""A latcomp command, or an import, as a process of its own: how long it takes from start to end, and the most memory it
held.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from latcomp.errors import LatcompError, UsageError

# A process starts with its parent's peak of memory as its own, so one that is small starts it and looks at it.
_LAUNCHER = """
import json, os, sys, time
began = time.perf_counter()
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(child, 0)
took = time.perf_counter() - began
print(json.dumps([os.waitstatus_to_exitcode(status), took, usage.ru_utime + usage.ru_stime, usage.ru_maxrss]))
"""
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


@dataclass(frozen=True)
class WholeRun:
    """What one command took, start-up and all."""

    seconds: float
    cpu_seconds: float
    """Processor time of all its threads."""
    peak_bytes: int
    """The most memory it ever held (ru_maxrss)."""


OWN = (sys.executable, "-m", "latcomp")


def program(command: str) -> tuple[str, ...]:
    """A command that runs latcomp, split as a shell splits words. Raises `UsageError` where that is no program."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UsageError(f"{command!r} is no command: {error}") from error
    found = shutil.which(words[0]) if words else None
    if found is None:
        raise UsageError(
            f"{command!r}: there is no such program; give the path of another release's latcomp, such as "
            "/opt/old/.venv/bin/latcomp"
        )
    return found, *words[1:]


def run_whole(*arguments: str, command: Sequence[str] = OWN) -> WholeRun:
    """Run latcomp with these arguments. command: what runs it, beginning with a program's path. Raises `LatcompError`
    with what it said when it fails."""
    return _run([*command, *arguments], f"latcomp {arguments[0]}")


def run_import(module: str) -> WholeRun:
    """Run Python to import a module and end. Raises `LatcompError` with what it said when it fails."""
    return _run([sys.executable, "-c", f"import {module}"], f"import {module}")


def _run(command: Sequence[str], name: str) -> WholeRun:
    """Run a command, which begins with a program's path; name: for messages."""
    launched = [sys.executable, "-I", "-S", "-c", _LAUNCHER, *command]
    # in a session of its own, so that both processes can be ended at once
    process = subprocess.Popen(
        launched, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    try:
        out, said = process.communicate()
    except BaseException:
        with suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    if process.returncode:
        raise LatcompError(f"{name} could not be started: {_words(said) or 'no reason given'}")
    code, seconds, cpu_seconds, peak = json.loads(out.splitlines()[-1])  # behind what the command itself printed
    if code:
        raise LatcompError(_words(said) or f"{name} ended with {code}")
    return WholeRun(seconds, cpu_seconds, peak * _RSS_UNIT)


def _words(said: bytes) -> str:
    return said.decode(errors="replace").strip()
