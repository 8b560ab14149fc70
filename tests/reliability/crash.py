"""Faults at random moments of encode, decode and batch, and what they may leave behind.

`python -m tests.reliability.crash --trials 200 --seed 1` runs so many and prints one JSON object: trials and exit codes
by kind of fault, and every broken promise in words. What is promised: under the final name stands what stood there
before, or the complete new file; nothing else is left, but for one hidden temporary file a target after SIGKILL, which
the next run removes; the next run gives the very file an undisturbed one gives; the exit code is that of
docs/cli.md; no traceback is shown.

Commands run in forked children of a process that has imported everything and computed nothing, with tiny models unless
`--shipped` asks for those of the package, so a trial takes a fraction of a second."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import constriction  # noqa: F401  everything is imported before the first fork

import latcomp.cli.batch
import latcomp.cli.decode
import latcomp.cli.encode
import latcomp.codec.decode
import latcomp.codec.encode  # noqa: F401
from latcomp.cli.main import run
from tests.fuzz.commands import Bench as TinyModels
from tests.video.make import pictures, write

SIGNALS = {
    "kill": signal.SIGKILL,
    "term": signal.SIGTERM,
    "int": signal.SIGINT,
    "hup": signal.SIGHUP,
    "int twice": signal.SIGINT,
}
CODES = {
    "kill": {-9},
    "term": {143},
    "int": {130},
    "hup": {129},
    "int twice": {130},
    "full": {6},
    "limit": {6},
    "read-only": {6},
    "pipe": {6},
}
"""Exit codes of a run that the fault reached; 0 of one that was done before."""
COMMANDS = ("encode", "decode", "batch")
LEFT = re.compile(r"\..*\.[0-9a-f]{8}\.part\.\w+")
OLD = b"what stood here before"


@dataclass(frozen=True)
class Fault:
    """One trial: a kind of fault, the command it hits, when (share of an undisturbed run), and whether an old file is
    replaced.
    """

    kind: str
    command: str
    moment: float
    replaces: bool


@dataclass
class Report:
    """What came of the trials."""

    codes: dict[str, dict[str, int]] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)


def spawn(arguments: list[str], folder: Path, pipe: tuple[int, int] | None = None, limit: int | None = None) -> int:
    """The process id of a child that runs the command line; its messages go to `folder/err`, its temporary files below
    `folder`.
    """
    err = os.open(folder / "err", os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)  # until the child is where it can handle them
    child = os.fork()
    if child:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.close(err)
        return child
    code = 1
    try:
        for number in signals:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
        os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
        os.dup2(err, 2)
        os.dup2(err if pipe is None else pipe[1], 1)
        for end in pipe or ():  # a process that holds the reading end itself never sees it closed
            os.close(end)
        if limit is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        run(arguments)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 0
    except KeyboardInterrupt:
        code = 130  # before or behind `run`, where the interpreter itself would say so
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
        os._exit(code)


def finish(child: int, seconds: float = 60) -> int:
    """Its exit code, negative after a signal. One that hangs is killed and raises `TimeoutError`."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    raise TimeoutError(f"no end within {seconds:g} seconds")


class Bench:
    """Inputs, what undisturbed runs make of them, and trials."""

    def __init__(self, home: Path, shipped: bool) -> None:
        self.home = home
        self.models = [] if shipped else ["--tokenizer", str(make_tiny_models(home / "models"))]
        self.report = Report()
        self.clips = home / "clips"
        self.clips.mkdir()
        for name, frames in (("a", 40), ("b", 12)):
            write(self.clips / f"{name}.mkv", pictures(frames), audio="aac")
        self.lat = home / "a.lat"
        self.seconds: dict[str, float] = {}
        self.wanted: dict[str, dict[str, bytes]] = {}
        # `a.lat` comes with the first; each runs twice, the second time with warm caches
        for command in ("encode", "encode", "decode", "decode", "batch"):
            with self._place(command) as place:
                began = time.monotonic()
                code = finish(spawn(self._arguments(command, place), place.parent))
                self.seconds[command] = time.monotonic() - began
                assert code == 0, (place.parent / "err").read_text()
                found = files(place)
                assert self.wanted.setdefault(command, found) == found
                if command == "encode" and not self.lat.exists():
                    shutil.copy(place / "out.lat", self.lat)

    def trial(self, fault: Fault) -> None:
        """Run one, and note what it broke."""
        try:
            code = self._pipe(fault) if fault.kind == "pipe" else self._file(fault)
        except TimeoutError as error:
            self._broke(fault, str(error))
            return
        counts = self.report.codes.setdefault(f"{fault.kind}, {fault.command}", {})
        counts[str(code)] = counts.get(str(code), 0) + 1
        if code not in CODES[fault.kind] | {0} and code != -SIGNALS.get(fault.kind, 0):
            self._broke(fault, f"exit code {code}")

    def _file(self, fault: Fault) -> int:
        with self._place(fault.command, fault) as place:
            names = list(self.wanted[fault.command])
            before = dict.fromkeys(names, OLD) if fault.replaces else {}
            for name, data in before.items():
                (place / name).write_bytes(data)
            if fault.kind == "read-only":
                mount(place, "remount,ro")
            limit = round(fault.moment * self._largest(fault.command)) if fault.kind == "limit" else None
            child = spawn(self._arguments(fault.command, place), place.parent, limit=limit)
            if fault.kind in SIGNALS:
                time.sleep(fault.moment * self.seconds[fault.command])
                for _ in range(2 if fault.kind.endswith("twice") else 1):
                    os.kill(child, SIGNALS[fault.kind])
                    time.sleep(0.01)
            code = finish(child)
            self._look(fault, place, before, code)
            if fault.kind in ("full", "read-only"):
                mount(place, "remount,rw,size=64m")
            again = finish(spawn(self._arguments(fault.command, place), place.parent))
            if again != 0 or files(place) != self.wanted[fault.command]:
                said = (place.parent / "err").read_text()[-300:]
                self._broke(fault, f"the next run ended with {again} and left {sorted(files(place))}: {said}")
            return code

    def _pipe(self, fault: Fault) -> int:
        """Standard output is closed after some bytes."""
        with self._place("pipe") as place:
            source = str(self.clips / "a.mkv" if fault.command == "encode" else self.lat)
            form = ["--format", "yuv4mpegpipe"] if fault.command == "decode" else []
            arguments = [fault.command, source, "-", *form, *self.models]
            reading, writing = os.pipe()
            child = spawn(arguments, place.parent, (reading, writing))
            os.close(writing)
            with os.fdopen(reading, "rb", buffering=0) as pipe:
                left = int(
                    fault.moment * (self._largest("encode") if fault.command == "encode" else 40 * 64 * 48 * 3 // 2)
                )
                while left > 0 and (piece := pipe.read(left)):
                    left -= len(piece)
            code = finish(child)
            self._look(fault, place, {}, code)
            if code == 6 and (place.parent / "err").read_text():
                self._broke(fault, "a closed pipe is not quiet")
            return code

    def _look(self, fault: Fault, place: Path, before: dict[str, bytes], code: int) -> None:
        """Note what a run left that it may not leave."""
        whole = self.wanted.get(fault.command, {})
        left = files(place.parent)
        said = left.pop("err").decode()
        if "Traceback" in said or "unexpected" in said:
            self._broke(fault, said[-300:])
        for path, data in left.items():
            name = str(Path(path).relative_to(place.name))
            if fault.kind == "kill" and LEFT.fullmatch(Path(name).name):
                continue
            if data not in (before.get(name), whole.get(name)):
                self._broke(fault, f"{name} holds {len(data)} strange bytes")
        gone = [name for name in before if f"{place.name}/{name}" not in left]
        if gone:
            self._broke(fault, f"{gone} gone")
        if (
            code == 0
            and fault.kind != "pipe"
            and {f"{place.name}/{name}": data for name, data in whole.items()} != left
        ):
            self._broke(fault, "exit code 0, and not all files are there")

    def _arguments(self, command: str, place: Path) -> list[str]:
        if command == "batch":
            return ["batch", str(self.clips), str(place), "-f", "-q", "--device", "cpu", *self.models]
        source, name = (self.clips / "a.mkv", "out.lat") if command == "encode" else (self.lat, "out.mp4")
        return [command, str(source), str(place / name), "-f", "-q", "--device", "cpu", *self.models]

    def _largest(self, command: str) -> int:
        return max(map(len, self.wanted[command].values()))

    @contextlib.contextmanager
    def _place(self, command: str, fault: Fault | None = None) -> Iterator[Path]:
        """A folder for outputs in a folder of its own; a small file system where the disk is to be full or
        read-only.
        """
        with tempfile.TemporaryDirectory(dir=self.home) as folder:
            place = Path(folder) / "place"
            place.mkdir()
            mounted = fault is not None and fault.kind in ("full", "read-only")
            if fault is not None and mounted:
                pages = 1 + int(fault.moment * self._largest(command) / 4096) if fault.kind == "full" else 1000
                old = len(self.wanted[command]) if fault.replaces else 0
                mount(place, f"size={4096 * (pages + old)}", "-t", "tmpfs", "none")
            try:
                yield place
            finally:
                if mounted:
                    subprocess.run(["umount", str(place)], check=True)

    def _broke(self, fault: Fault, what: str) -> None:
        self.report.broken.append(f"{fault}: {what}")


def make_tiny_models(folder: Path) -> Path:
    """The folder of a tokenizer with its LIT and prior, made by a child, since this process must compute nothing."""
    folder.mkdir()
    child = os.fork()
    if not child:
        code = 1
        try:
            TinyModels(folder)
            code = 0
        finally:
            os._exit(code)
    assert finish(child) == 0
    return folder / "tokenizer"


def files(folder: Path) -> dict[str, bytes]:
    """Bytes of all files below a folder, by name."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def mount(place: Path, options: str, *more: str) -> None:
    """Mount or remount a file system at `place`."""
    subprocess.run(["mount", "-o", options, *more, str(place)], check=True, capture_output=True)


def can_mount() -> bool:
    """Whether this process may mount a file system, as root may outside a container."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            mount(Path(folder), "size=4096", "-t", "tmpfs", "none")
            subprocess.run(["umount", folder], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            return False
    return True


def plan(trials: int, seed: int) -> list[Fault]:
    """Faults in turn over all kinds and commands, at random moments."""
    rng = random.Random(seed)
    kinds = [kind for kind in CODES if kind not in ("full", "read-only") or can_mount()]
    pairs = [(kind, command) for command in COMMANDS for kind in kinds if (kind, command) != ("pipe", "batch")]
    found = []
    while len(found) < trials:
        rng.shuffle(pairs)
        found += [Fault(kind, command, rng.random(), rng.random() < 0.5) for kind, command in pairs]
    return found[:trials]


def main(trials: int, seed: int, shipped: bool, show: Callable[[str], None]) -> Report:
    """Run the faults of a plan."""
    with tempfile.TemporaryDirectory(prefix="latcomp-crash-") as home:
        bench = Bench(Path(home), shipped)
        for number, fault in enumerate(plan(trials, seed)):
            known = len(bench.report.broken)
            bench.trial(fault)
            for text in bench.report.broken[known:]:
                show(text)
            if (number + 1) % 25 == 0:
                show(f"{number + 1} of {trials}, {len(bench.report.broken)} broken promises")
        return bench.report


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Faults at random moments.")
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--shipped", action="store_true", help="with the models of the package, not tiny ones")
    given = parser.parse_args()
    done = main(given.trials, given.seed, given.shipped, lambda text: print(text, file=sys.stderr, flush=True))
    codes = {name: done.codes[name] for name in sorted(done.codes)}
    print(json.dumps({"trials": given.trials, "seed": given.seed, "codes": codes, "broken": done.broken}))
    sys.exit(1 if done.broken else 0)
