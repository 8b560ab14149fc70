"""Files that appear under their name only when they are complete."""

import contextlib
import fcntl
import os
import re
import secrets
import shutil
import signal
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from latcomp.errors import OutputError

_NAME_BYTES = 255  # most that file systems take
_ENDING_SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


@contextlib.contextmanager
def output_file(path: str | Path, force: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside `path` to write to; it takes that name when the block ends well, else it is removed.

    It is removed on any exception, on Ctrl-C and on SIGTERM or SIGHUP; what stood at `path` stays until the end. The
    temporary name is `.NAME.XXXXXXXX.part.SUFFIX`; one that a killed run left for the same `path` is removed first. A
    device or pipe (`/dev/null`) is yielded as it is. Raises OutputError when `path` exists and `force` is not given, is a
    directory, or cannot be written.
    """
    given, target = Path(path), Path(os.path.realpath(path))  # a link stays a link: what it points to is replaced
    with _os_errors(given):
        mode = _mode(target)
    if mode is not None and not stat.S_ISREG(mode):
        if stat.S_ISDIR(mode):
            raise OutputError(f"{given}: is a directory")
        yield given
        return
    _refuse_overwriting(given, mode is not None, force)
    if not target.parent.is_dir():
        raise OutputError(f"{given}: the directory {given.parent} does not exist")
    temporary, lock = target, -1
    with _signals_raise():
        try:
            with _os_errors(given):
                _remove_left(target)
                front, back = _parts(target)
                while lock < 0:
                    temporary = target.with_name(f"{front}{secrets.token_hex(4)}{back}")
                    lock = _create(temporary)
            yield temporary
            with _os_errors(given):
                _refuse_overwriting(given, _mode(target) is not None, force)  # it may have appeared meanwhile
                if mode is not None:
                    shutil.copymode(target, temporary)
                _sync(temporary)
                temporary.replace(target)
        except BaseException:
            with _signals_wait(), contextlib.suppress(OSError):
                if temporary != target:
                    temporary.unlink(missing_ok=True)
            raise
        finally:
            if lock >= 0:
                os.close(lock)
    with contextlib.suppress(OSError):
        _sync(target.parent)  # the name, too, is to survive a power cut


def same_file(first: str | Path, second: str | Path) -> bool:
    """Tell whether two paths name one existing file, through links and by different names."""
    try:
        return Path(first).samefile(second)
    except OSError:
        return False


def _parts(target: Path) -> tuple[str, str]:
    """What stands before and behind the eight hexadecimal digits of a temporary name.

    Hidden, so that no batch takes it for a video; with the suffix, as FFmpeg goes by it; the rest is cut to what fits.
    """
    back = f".part{target.suffix}"
    room = max(1, _NAME_BYTES - len(os.fsencode(back)) - len("..") - 8)
    return f".{os.fsencode(target.stem)[:room].decode(errors='ignore')}.", back


def _create(temporary: Path) -> int:
    """A descriptor that locks a new file while its writer lives; -1 when somebody took the file away before it was locked."""
    lock = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    with contextlib.suppress(OSError):  # some network file systems have no locks: there nothing is removed either
        fcntl.flock(lock, fcntl.LOCK_EX)
    if os.fstat(lock).st_nlink:
        return lock
    os.close(lock)
    return -1


def _remove_left(target: Path) -> None:
    """Remove the temporary files of runs that were killed over the same target: those that no living process has locked."""
    front, back = _parts(target)
    name = re.compile(f"{re.escape(front)}[0-9a-f]{{8}}{re.escape(back)}")
    with os.scandir(target.parent) as entries:
        left = [entry.path for entry in entries if name.fullmatch(entry.name)]
    for path in left:
        with contextlib.suppress(OSError):
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                Path(path).unlink()
            finally:
                os.close(descriptor)


def _mode(path: Path) -> int | None:
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        return None


def _refuse_overwriting(path: Path, exists: bool, force: bool) -> None:
    if exists and not force:
        raise OutputError(f"{path}: exists already; --force replaces it")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _os_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error


@contextlib.contextmanager
def _signals_wait() -> Iterator[None]:
    """Hold back signals that would raise inside: an impatient second Ctrl-C must not keep a file from being removed."""
    held = {signal.SIGINT, *_ENDING_SIGNALS}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, held)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _signals_raise() -> Iterator[None]:
    """Let SIGTERM and SIGHUP raise SystemExit inside, where nobody else handles them: by default they would kill at once."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers, and only it receives what they raise
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    changed = [number for number in _ENDING_SIGNALS if signal.getsignal(number) is signal.SIG_DFL]
    for number in changed:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number in changed:
            signal.signal(number, signal.SIG_DFL)
