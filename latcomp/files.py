"""Files that appear under their name only when they are complete."""

import contextlib
import os
import secrets
import shutil
import signal
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from latcomp.errors import OutputError

_ENDING_SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


@contextlib.contextmanager
def output_file(path: str | Path, force: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside `path` to write to; it takes that name when the block ends well, else it is removed.

    It is removed on any exception, on Ctrl-C and on SIGTERM or SIGHUP; what stood at `path` stays until the end. The
    temporary name keeps the suffix. A device or pipe (`/dev/null`) is yielded as it is. Raises OutputError when `path`
    exists and `force` is not given, is a directory, or cannot be written.
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
    temporary = target.with_name(f".{target.stem[:100]}.{secrets.token_hex(4)}.part{target.suffix}")
    with _signals_raise():
        try:
            with _os_errors(given):
                os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            yield temporary
            with _os_errors(given):
                _refuse_overwriting(given, _mode(target) is not None, force)  # it may have appeared meanwhile
                if mode is not None:
                    shutil.copymode(target, temporary)
                _sync(temporary)
                temporary.replace(target)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
    with contextlib.suppress(OSError):
        _sync(target.parent)  # the name, too, is to survive a power cut


def same_file(first: str | Path, second: str | Path) -> bool:
    """Tell whether two paths name one existing file, through links and by different names."""
    try:
        return Path(first).samefile(second)
    except OSError:
        return False


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
