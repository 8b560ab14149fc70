"""Files that appear under their name only when they are complete."""

import contextlib
import errno
import fcntl
import os
import re
import secrets
import shutil
import signal
import stat
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import IO, Any, BinaryIO, cast

from latcomp.errors import OutputError

_NAME_BYTES = 255  # most that file systems take
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS})  # only writing fails with these
_ENDING_SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


@contextlib.contextmanager
def output_file(path: str | Path, force: bool = False, sweep: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside `path` to write to; it takes that name when the block ends well, else it is
    removed.

    It is removed on any exception, on Ctrl-C and on SIGTERM or SIGHUP; what stood at `path` stays until the end. The
    temporary name is `.NAME.XXXXXXXX.part.SUFFIX`; one that a killed run left for the same `path` is removed first,
    which looks through the folder: whoever writes very many files there says `sweep=False` and calls `remove_left`
    once. A device or pipe, or a link to one, is yielded as it is (`output_target` opens it). Raises OutputError when
    `path` exists and `force` is not given, is a directory, or cannot be written; also for a full disk in the block,
    naming `path`."""
    given, target = Path(path), Path(os.path.realpath(path))  # a link stays a link: what it points to is replaced
    if is_stream(given):
        yield given
        return
    with _os_errors(given):
        mode = _mode(target)
    if mode is not None and stat.S_ISDIR(mode):
        raise OutputError(f"{given}: is a directory")
    _refuse_overwriting(given, mode is not None, force)
    if not target.parent.is_dir():
        raise OutputError(f"{given}: the directory {given.parent} does not exist")
    temporary, lock = target, -1
    with _signals_raise():
        try:
            with _os_errors(given):
                if sweep:
                    _remove_left(target)
                front, back = _parts(target)
                while lock < 0:
                    temporary = target.with_name(f"{front}{secrets.token_hex(4)}{back}")
                    lock = _create(temporary)
            with _named_for(given, temporary):
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


@contextlib.contextmanager
def output_target(path: str | Path, force: bool = False) -> Iterator[Path | BinaryIO]:
    """As `output_file`; what is no file (a pipe, a device, `/dev/stdout`, `/dev/fd/N`) is yielded as an open stream."""
    if is_stream(path):
        with _open_stream(Path(path)) as stream:
            yield stream
    else:
        with output_file(path, force) as temporary:
            yield temporary


@contextlib.contextmanager
def output_stream(path: str | Path, force: bool = False) -> Iterator[BinaryIO]:
    """As `output_target`, a file opened as well: bytes to be written forward."""
    with output_target(path, force) as place:
        if isinstance(place, Path):
            with place.open("wb") as file:
                yield cast(BinaryIO, NamedOutput(file, path))
        else:
            yield place


@contextlib.contextmanager
def spool() -> Iterator[BinaryIO]:
    """A temporary file without a name, for what must be read or kept whole. Raises OutputError that names its folder
    when it is full.
    """
    folder = tempfile.gettempdir()
    name = f"{folder} (for temporary files; TMPDIR names another folder)"
    with _os_errors(name):
        file = tempfile.TemporaryFile(prefix="latcomp-")
    try:
        yield cast(BinaryIO, NamedOutput(file, name))
    finally:
        with contextlib.suppress(OSError):  # nobody will read what could not be written
            file.close()


def is_write_failure(error: BaseException) -> bool:
    """Tell whether an error says that an output could not be written: no room, a read-only or failing disk."""
    return isinstance(error, OSError) and error.errno in {*_NO_ROOM, errno.EIO}


class NamedOutput:
    """A binary file whose errors of writing are OutputErrors with the name that its user knows; a closed pipe stays
    BrokenPipeError.
    """

    def __init__(self, file: IO[bytes], name: str | Path) -> None:
        self._file, self.name = file, str(name)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)  # seek, tell, fileno, isatty, ...: as the file has them

    def write(self, data: Any) -> int:
        """Write all of the bytes."""
        with _os_errors(self.name):
            return self._file.write(data)

    def flush(self) -> None:
        """Hand what is buffered to the system."""
        with _os_errors(self.name):
            self._file.flush()

    def close(self) -> None:
        """Flush and close."""
        with _os_errors(self.name):
            self._file.close()


def is_stream(path: str | Path) -> bool:
    """Tell whether a path names, through links, something other than a file or folder: a pipe, a device, an open
    descriptor.
    """
    if descriptor_of(path) is not None:
        return True
    try:
        mode = Path(path).stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def descriptor_of(path: str | Path) -> int | None:
    """The number of this process's descriptor that a path names, through links: 1 for `/dev/stdout`, 63 for
    `/dev/fd/63`; else None.
    """
    place = Path(os.path.normpath(Path.cwd() / path))
    own = rf"/dev/fd/(\d{{1,9}})|/proc/(?:self|{os.getpid()})/fd/(\d{{1,9}})"
    for _ in range(40):  # as many links as the system follows
        found = re.fullmatch(own, str(place))
        if found:
            return int(found[1] or found[2])
        if not place.is_symlink():
            return None
        place = Path(os.path.normpath(place.parent / place.readlink()))
    return None


@contextlib.contextmanager
def _open_stream(path: Path) -> Iterator[BinaryIO]:
    """What `is_stream` tells of, opened for writing; a descriptor is written where it stands, and stays open."""
    number = descriptor_of(path)
    with _os_errors(path):
        file = path.open("wb") if number is None else os.fdopen(os.dup(number), "wb")
    named = NamedOutput(file, path)
    try:
        yield cast(BinaryIO, named)
    except BaseException:
        with contextlib.suppress(OSError):
            file.close()  # what went wrong is on its way already
        raise
    named.close()


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
    """A descriptor that locks a new file while its writer lives; -1 when somebody took the file away before it was
    locked.
    """
    lock = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    with contextlib.suppress(OSError):  # some network file systems have no locks: there nothing is removed either
        fcntl.flock(lock, fcntl.LOCK_EX)
    if os.fstat(lock).st_nlink:
        return lock
    os.close(lock)
    return -1


def _remove_left(target: Path) -> None:
    """Remove the temporary files of runs that were killed over the same target: those that no living process has
    locked.
    """
    front, back = _parts(target)
    _remove_unlocked(target.parent, re.compile(f"{re.escape(front)}[0-9a-f]{{8}}{re.escape(back)}"))


def remove_left(folder: Path) -> None:
    """Remove all temporary files that killed runs left in a folder. Raises OutputError when it cannot be listed."""
    with _os_errors(folder):
        _remove_unlocked(folder, re.compile(r"\..*\.[0-9a-f]{8}\.part(\.[^.]*)?", re.DOTALL))


def _remove_unlocked(folder: Path, name: re.Pattern[str]) -> None:
    """Remove the files of such names that no living process has locked."""
    with os.scandir(folder) as entries:
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
        raise OutputError(f"{path}: exists already; force=True replaces it", settings=("force",))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _os_errors(name: str | Path) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise  # whoever read it has had enough: no error of ours
    except OSError as error:
        raise OutputError(f"{name}: cannot be written: {error.strerror or error}") from error


@contextlib.contextmanager
def _named_for(given: Path, temporary: Path) -> Iterator[None]:
    """Let errors inside name the output that was asked for, not the temporary file that stands for it."""
    try:
        yield
    except OutputError as error:
        error.args = tuple(
            arg.replace(str(temporary), str(given)) if isinstance(arg, str) else arg for arg in error.args
        )
        raise
    except OSError as error:
        if error.errno in _NO_ROOM and error.filename in (None, str(temporary)):
            raise OutputError(f"{given}: cannot be written: {error.strerror or error}") from error
        raise


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
    """Let SIGTERM and SIGHUP raise SystemExit inside, where nobody else handles them: by default they would kill at
    once.
    """
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
