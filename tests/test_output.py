"""Protects output files: they appear when complete or not at all, whatever ends the writing."""

import os
import signal
import stat
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from latcomp.errors import OutputError
from latcomp.output import descriptor_of, is_stream, output_file, output_stream, output_target, same_file


def test_the_file_appears_only_at_the_end(tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    with output_file(target) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".mp4"
        temporary.write_bytes(b"new")
        assert not target.exists()
    assert target.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_an_exception_leaves_nothing_and_keeps_what_was_there(tmp_path: Path, error: type[BaseException]) -> None:
    target = tmp_path / "out.lat"
    target.write_bytes(b"old")
    with pytest.raises(error), output_file(target, force=True) as temporary:
        temporary.write_bytes(b"half")
        raise error
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_an_existing_file_is_refused_before_and_after_the_work(tmp_path: Path) -> None:
    target = tmp_path / "out.lat"
    target.write_bytes(b"old")
    with pytest.raises(OutputError, match="force=True"), output_file(target):
        pytest.fail("the block must not run")
    target.unlink()
    with pytest.raises(OutputError, match="force=True"), output_file(target) as temporary:
        temporary.write_bytes(b"new")
        target.write_bytes(b"somebody else's")
    assert target.read_bytes() == b"somebody else's"
    assert list(tmp_path.iterdir()) == [target]


def test_force_replaces_and_keeps_the_mode(tmp_path: Path) -> None:
    target = tmp_path / "out.lat"
    target.write_bytes(b"old")
    target.chmod(0o640)
    with output_file(target, force=True) as temporary:
        temporary.write_bytes(b"new")
    assert target.read_bytes() == b"new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


def test_a_new_file_has_the_usual_mode(tmp_path: Path) -> None:
    previous = os.umask(0o022)
    try:
        with output_file(tmp_path / "out.lat"):
            pass
    finally:
        os.umask(previous)
    assert stat.S_IMODE((tmp_path / "out.lat").stat().st_mode) == 0o644


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.lat").write_bytes(b"old")
    (tmp_path / "link.lat").symlink_to(tmp_path / "real" / "a.lat")
    with output_file(tmp_path / "link.lat", force=True) as temporary:
        temporary.write_bytes(b"new")
    assert (tmp_path / "link.lat").is_symlink()
    assert (tmp_path / "real" / "a.lat").read_bytes() == b"new"


@pytest.mark.parametrize(
    ("name", "words"), [("none/out.lat", "does not exist"), ("", "is a directory"), ("file/out.lat", "(?i)not")]
)
def test_impossible_places_are_output_errors(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=words) as caught, output_file(tmp_path / name, force=True):
        pytest.fail("the block must not run")
    assert "\n" not in str(caught.value)


def test_a_device_is_written_as_it_is() -> None:
    with output_file("/dev/null") as place:
        assert place == Path("/dev/null")
        place.write_bytes(b"gone")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    script = textwrap.dedent(
        """
        import sys, time
        from latcomp.output import output_file
        with output_file(sys.argv[1]) as temporary:
            temporary.write_bytes(b"half")
            print("ready", flush=True)
            time.sleep(60)
        """
    )
    root = str(Path(__file__).parents[1])
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "out.lat")],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": root},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    assert len(list(tmp_path.iterdir())) == 1
    process.send_signal(number)
    assert process.wait(10) != 0
    process.stdout.close()
    assert list(tmp_path.iterdir()) == []


def test_handlers_are_put_back_and_threads_may_write(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with output_file(tmp_path / "a.lat"):
        pass
    assert signal.getsignal(signal.SIGTERM) is before

    def write() -> None:
        with output_file(tmp_path / "b.lat") as temporary:
            temporary.write_bytes(b"new")

    thread = threading.Thread(target=write)
    thread.start()
    thread.join()
    assert (tmp_path / "b.lat").read_bytes() == b"new"


def test_same_file_sees_through_names(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    (tmp_path / "b").touch()
    (tmp_path / "link").symlink_to(tmp_path / "a")
    os.link(tmp_path / "a", tmp_path / "hard")
    assert same_file(tmp_path / "a", tmp_path / "link")
    assert same_file(tmp_path / "a", tmp_path / "hard")
    assert same_file(str(tmp_path / "a"), f"{tmp_path}/./a")
    assert not same_file(tmp_path / "a", tmp_path / "b")
    assert not same_file(tmp_path / "a", tmp_path / "none")


def _killed_run(target: Path) -> Path:
    """The temporary file that a run killed over `target` left."""
    script = (
        "import sys, os, signal\nfrom latcomp.output import output_file\n"
        "with output_file(sys.argv[1], force=True) as t:\n t.write_bytes(b'half'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    root = str(Path(__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", script, str(target)], env={**os.environ, "PYTHONPATH": root}, check=False
    )
    assert done.returncode == -signal.SIGKILL
    (left,) = (path for path in target.parent.iterdir() if ".part" in path.name)
    return left


def test_the_next_run_removes_what_a_killed_one_left(tmp_path: Path) -> None:
    """Only for the same target, and only what no living process writes."""
    target = tmp_path / "[a]+#.lat"
    target.write_bytes(b"old")
    left = _killed_run(target)
    assert left.name.startswith(".") and target.read_bytes() == b"old"
    names = (".[a]+#.part.lat", ".[a]+#.0123456.part.lat", ".b.01234567.part.lat", ".[a]+#.01234567.part.mp4")
    others = [tmp_path / name for name in names]
    for other in others:
        other.touch()
    with output_file(tmp_path / "b.mp4"):
        assert left.exists()
    with output_file(target, force=True) as living:
        assert not left.exists()
        with output_file(target, force=True) as second:
            assert living.exists() and living != second
            second.write_bytes(b"second")
        living.write_bytes(b"first")
    assert target.read_bytes() == b"first"
    assert sorted(tmp_path.iterdir()) == sorted([*others, target, tmp_path / "b.mp4"])


@pytest.mark.parametrize("stem", ["a" * 251, "\u6d77" * 83])
def test_names_as_long_as_they_may_be(tmp_path: Path, stem: str) -> None:
    """The temporary name must not be longer than a file system takes where the final one is not."""
    target = tmp_path / f"{stem}.lat"
    with output_file(target) as temporary:
        temporary.write_bytes(b"new")
    assert [path.name for path in tmp_path.iterdir()] == [target.name]


# -- pipes, devices, descriptors
# ------------------------------------------------------------------------------------------


def test_descriptors_are_known_through_links(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    try:
        link = tmp_path / "out.lat"
        link.symlink_to(f"/dev/fd/{writing}")
        (tmp_path / "twice").symlink_to("out.lat")
        assert descriptor_of(link) == descriptor_of(tmp_path / "twice") == writing
        assert descriptor_of("/dev/stdout") == 1
        assert descriptor_of(f"/proc/self/fd/{writing}") == writing
        assert descriptor_of("/dev/null") is None and is_stream("/dev/null")
        assert is_stream(link) and not is_stream(tmp_path) and not is_stream(tmp_path / "none")
    finally:
        os.close(reading)
        os.close(writing)


@pytest.mark.parametrize("through", ["/dev/fd", "link", "fifo"])
def test_a_pipe_is_written_as_it_is(through: str, tmp_path: Path) -> None:
    """Nothing is put beside it, and a descriptor stays open for who opened it."""
    reading, writing = os.pipe()
    target = Path(f"/dev/fd/{writing}")
    if through == "link":
        (tmp_path / "out.mp4").symlink_to(target)
        target = tmp_path / "out.mp4"
    elif through == "fifo":
        target = tmp_path / "out.mp4"
        os.mkfifo(target)
        os.close(reading)
        reading = os.open(target, os.O_RDONLY | os.O_NONBLOCK)
    before = sorted(tmp_path.iterdir())
    with output_target(target) as place:
        assert not isinstance(place, Path)
        place.write(b"all of it")
        place.flush()
        assert sorted(tmp_path.iterdir()) == before
    assert os.read(reading, 100) == b"all of it"
    os.fstat(writing)
    os.close(writing)
    os.close(reading)


def test_a_descriptor_of_a_file_is_written_where_it_stands(tmp_path: Path) -> None:
    """As `{ echo head; latcomp ... /dev/stdout; } > file` means it: what stands there is neither refused nor cut."""
    with (tmp_path / "out").open("wb") as file:
        file.write(b"head ")
        file.flush()
        with output_stream(f"/dev/fd/{file.fileno()}") as out:
            out.write(b"body ")
        file.write(b"tail")
    assert (tmp_path / "out").read_bytes() == b"head body tail"


def test_a_descriptor_that_is_not_open_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="/dev/fd/987"), output_target("/dev/fd/987"):
        pytest.fail("the block must not run")


def test_a_closed_pipe_stays_a_closed_pipe() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with pytest.raises(BrokenPipeError), output_stream(f"/dev/fd/{writing}") as out:
        out.write(b"x" * 100_000)
    os.close(writing)


FULL = """
import resource, sys
from pathlib import Path
from latcomp.output import output_file, output_stream, spool
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
ways = {"file": output_file, "stream": output_stream}
try:
    if sys.argv[1] == "spool":
        with spool() as out:
            out.write(bytes(5000))
            out.flush()
    with ways[sys.argv[1]](sys.argv[2]) as out:
        out.write_bytes(bytes(5000)) if isinstance(out, Path) else out.write(bytes(50_000))
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize("way", ["file", "stream", "spool"])
def test_a_full_disk_is_told_with_the_name_that_was_given(way: str, tmp_path: Path) -> None:
    """Never with the hidden one beside it; a full folder of temporary files is named as that."""
    target = tmp_path / "wanted.lat"
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", FULL, way, str(target)], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.startswith(f"OutputError {tmp_path if way == 'spool' else target}")
    assert "cannot be written: File too large" in done.stdout and ".part" not in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_errors_of_others_name_the_output_too(tmp_path: Path) -> None:
    """What FFmpeg says of the temporary file is said of the file."""
    target = tmp_path / "wanted.mp4"
    with pytest.raises(OutputError) as caught, output_file(target) as temporary:
        raise OutputError(f"{temporary}: cannot be written: no space left on device")
    assert str(caught.value) == f"{target}: cannot be written: no space left on device"
