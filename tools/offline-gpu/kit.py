#!/usr/bin/env python3
"""Training and testing latcomp on a GPU machine that has no network: what goes there, what runs there, what comes back.

    python tools/offline-gpu/kit.py prepare train --clips DIR      here, in the repository's root: makes .kit/ python
    .kit/kit.py run 'COMMAND' 'COMMAND' ...                 there, in the repository's root, which .kit/ came along with
    python tools/offline-gpu/kit.py join FOLDER TARGET             here: unpacks what came back

See docs/training.md. This file needs Python 3.11 and nothing else.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

MIB = 2**20
KIT = Path(".kit")
WHEELS = {
    "train": ["zstandard", "constriction"],
    "test": ["zstandard", "constriction", "av", "pytest", "hypothesis", "sortedcontainers"],
}
"""What such a machine usually lacks beside torch, numpy, einops, safetensors, typer, rich and OpenCV."""
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
PIECE_MIB = 15
TEST_CLIPS = 2
FIRST = 7  # of so many clips one is taken in full size, then one more, while there is room
GRACE_SECONDS = 20  # between asking a command to end and ending it


def prepare(
    mode: str,
    clips: Path,
    full: Path | None,
    clips_mib: int,
    most_mib: int,
    python: str,
    wheels: list[str],
    state: Path | None,
) -> None:
    """Make `.kit/`: wheels, clips, the camera offsets that are known of clips, and the checkpoints in `state` in
    pieces.

    mode: 'train' takes all clips, those of `full` in place of small ones of the same name while `clips_mib` lasts, and
    no video library; 'test' takes the video library, what the tests need, and two clips."""
    if not Path("pyproject.toml").is_file():
        sys.exit("run this in the repository's root")
    for name in ("wheels", "clips", "state", "blocked", "offsets"):
        shutil.rmtree(KIT / name, ignore_errors=True)
        (KIT / name).mkdir(parents=True)
    shutil.copy(__file__, KIT / "kit.py")
    (KIT / "mode").write_text(mode)
    (KIT / "blocked" / "av.py").write_text('raise ImportError("PyAV is kept away, as on a machine without it")\n')
    download = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "-q",
        "--no-deps",
        "--only-binary=:all:",
        "-d",
        str(KIT / "wheels"),
    ]
    there = [
        "--python-version",
        python,
        "--implementation",
        "cp",
        *(word for name in PLATFORMS for word in ("--platform", name)),
    ]
    subprocess.run([*download, *there, *WHEELS[mode], *wheels], check=True)
    chosen = _chosen_clips(mode, clips, full, clips_mib * MIB)
    for path in chosen:
        shutil.copy(path, KIT / "clips")
    if mode == "train":
        for path in sorted((_cache() / "offsets").glob("*.npy")):  # finding them takes minutes
            shutil.copy(path, KIT / "offsets")
    if state is not None:
        _pack([path for path in sorted(state.rglob("*")) if path.is_file()], state, KIT / "state")
    tracked = subprocess.run(["git", "ls-files", "-z"], capture_output=True, check=True).stdout.decode().split("\0")
    total = sum(Path(name).stat().st_size for name in tracked if Path(name).is_file()) + sum(_sizes(KIT))
    print(
        f"{len(chosen)} clips, {sum(path.parent == full for path in chosen)} of them from {full or 'no second folder'}"
    )
    print(
        f"{total / MIB:.1f} MiB with the repository"
        + (f": more than the {most_mib} that may go" if total > most_mib * MIB else "")
    )
    if total > most_mib * MIB:
        sys.exit(1)


def _cache() -> Path:
    """Where latcomp keeps what it need not make twice."""
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "latcomp"


def _sizes(folder: Path) -> Iterator[int]:
    return (path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _chosen_clips(mode: str, clips: Path, full: Path | None, room: int) -> list[Path]:
    small = sorted(path for path in clips.iterdir() if path.suffix == ".mp4")
    if not small:
        sys.exit(f"{clips} holds no .mp4")
    if mode == "test":
        return small[:TEST_CLIPS]
    large = {path.name: path for path in full.iterdir()} if full else {}
    room -= sum(path.stat().st_size for path in small)
    chosen = {path.name: path for path in small}
    for path in (small[i] for start in (0, 3, 5) for i in range(start, len(small), FIRST)):
        other = large.get(path.name)
        if other is not None and (more := other.stat().st_size - path.stat().st_size) < room:
            chosen[path.name], room = other, room - more
    return list(chosen.values())


def _pack(paths: list[Path], root: Path, target: Path, name: str = "states.tar") -> None:
    """The files as one archive in pieces `NAME.00`, `NAME.01`, ... of at most `PIECE_MIB`."""
    if not paths:
        return
    with tempfile.TemporaryFile() as whole:
        with tarfile.open(fileobj=whole, mode="w") as archive:
            for path in paths:
                archive.add(path, path.relative_to(root))
        whole.seek(0)
        number = 0
        while piece := whole.read(PIECE_MIB * MIB):
            (target / f"{name}.{number:02}").write_bytes(piece)
            number += 1


def _unpack(folder: Path, target: Path, name: str = "states.tar") -> None:
    """Undo `_pack`."""
    pieces = sorted(folder.glob(f"{name}.*"))
    if not pieces:
        return
    with tempfile.TemporaryFile() as whole:
        for piece in pieces:
            whole.write(piece.read_bytes())
        whole.seek(0)
        with tarfile.open(fileobj=whole) as archive:
            archive.extractall(target, filter="data")


def run(commands: list[str], seconds: float, out: Path, most_files: int, most_mib: int) -> int:
    """Set the machine up, run the commands one after the other while time lasts, and leave models and checkpoints in
    `out`.

    The commands find the clips in $DATA, the checkpoints that came along in $STATE, and a folder for models that lasts
    as long as the machine in $WORK. LATCOMP_KIT_DRY=1 does all of it in a temporary folder with the packages of this
    Python; LATCOMP_KIT_NO_AV=1 keeps PyAV away there."""
    began = time.monotonic()
    kit = Path(__file__).resolve().parent
    dry = bool(os.environ.get("LATCOMP_KIT_DRY"))
    base = (
        Path(tempfile.mkdtemp(prefix="latcomp-kit-"))
        if dry
        else Path(os.environ.get("TMPDIR", "/var/tmp")) / "latcomp-kit"
    )
    site = base / "site"
    work, state = base / "work", base / "state"
    for folder in (work, state, base / "bin"):
        folder.mkdir(parents=True, exist_ok=True)
    if not dry and not site.is_dir():
        wheels = [str(path) for path in sorted((kit / "wheels").glob("*.whl"))]
        install = [
            "-m",
            "pip",
            "install",
            "-q",
            "--no-index",
            "--no-deps",
            "--no-compile",
            "--target",
            str(site),
            *wheels,
        ]
        subprocess.run([sys.executable, *install], check=True)
    _unpack(kit / "state", state)
    if (kit / "offsets").is_dir():
        shutil.copytree(kit / "offsets", base / "cache" / "latcomp" / "offsets", dirs_exist_ok=True)
    blocked = [str(kit / "blocked")] if os.environ.get("LATCOMP_KIT_NO_AV") else []
    paths = [*blocked, str(Path.cwd()), str(site), *filter(None, [os.environ.get("PYTHONPATH")])]
    python = base / "bin" / "python"
    python.unlink(missing_ok=True)
    python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    python.chmod(0o755)
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONUNBUFFERED": "1",
        "PATH": f"{base / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}",
        "XDG_CACHE_HOME": str(base / "cache"),
        "WORK": str(work),
        "STATE": str(state),
        "DATA": str(kit / "clips"),
    }
    print(f"set up in {time.monotonic() - began:.0f} s", flush=True)
    result = 0
    for command in commands:
        left = seconds - (time.monotonic() - began)
        if left < 5:
            print(f"no time left for: {command}", flush=True)
            result = result or 124
            continue
        print(f"+ {command}", flush=True)
        code = _run_for(command, environment, left)
        if code:
            print(f"exit {code}: {command}", flush=True)
            result = result or code
    _collect(work, out, most_files, most_mib)
    if dry:
        shutil.rmtree(base)
    return result


def _run_for(command: str, environment: dict[str, str], seconds: float) -> int:
    """The exit code of a command, which is interrupted when its time is up: a training then writes a last
    checkpoint.
    """
    process = subprocess.Popen(["bash", "-c", command], env=environment, start_new_session=True)
    for number, patience in ((signal.SIGINT, seconds), (signal.SIGKILL, GRACE_SECONDS)):
        try:
            return process.wait(patience)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, number)
    return process.wait()


def _collect(work: Path, out: Path, most_files: int, most_mib: int) -> None:
    """Models in one archive, then of each training the checkpoint to go on from, the newest training first, while there
    is room.
    """
    out.mkdir(parents=True, exist_ok=True)
    models = out / "models.tar.gz"
    with tarfile.open(models, "w:gz") as archive:
        for path in sorted(work.rglob("*")):
            if path.is_file() and "checkpoints" not in path.parts:
                archive.add(path, path.relative_to(work))
    room = min(most_mib * MIB - models.stat().st_size, (most_files - 1) * PIECE_MIB * MIB) - MIB
    taken: list[Path] = []
    for folder in sorted(work.rglob("checkpoints"), key=lambda path: path.stat().st_mtime, reverse=True):
        names = next((found for name in ("stable.pt", "state.pt") if (found := sorted(folder.glob(f"{name}*")))), [])
        size = sum(path.stat().st_size for path in names)
        if size <= room:
            taken, room = [*taken, *names], room - size
        else:
            print(f"left there, {size / MIB:.0f} MiB: {folder}", flush=True)
    _pack(taken, work, out)
    for path in sorted(out.iterdir()):
        print(f"{path.stat().st_size / MIB:7.2f} MiB  {path}", flush=True)


def join(folder: Path, target: Path) -> None:
    """Unpack what came back: models, and checkpoints in the folder of their model, so that `--resume` finds them
    there.
    """
    target.mkdir(parents=True, exist_ok=True)
    models = folder / "models.tar.gz"
    if models.is_file():
        with tarfile.open(models) as archive:
            archive.extractall(target, filter="data")
    _unpack(folder, target)
    for path in sorted(path for path in target.rglob("*") if path.is_file()):
        print(f"{path.stat().st_size / MIB:7.2f} MiB  {path}")


def main() -> int:
    """Parse the command line and do what it says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("prepare", help="make .kit/ in the repository's root")
    one.add_argument("mode", choices=sorted(WHEELS))
    one.add_argument("--clips", type=Path, required=True, help="folder of .mp4 clips, small ones")
    one.add_argument("--full", type=Path, help="folder of the same clips in full size, of which some are taken")
    one.add_argument("--clips-mib", type=int, default=24, help="room for clips (default 24)")
    one.add_argument(
        "--most-mib", type=int, default=64, help="what may go in all, the repository among it (default 64)"
    )
    one.add_argument("--python", default="3.12", help="version of Python there (default 3.12)")
    one.add_argument("--wheel", action="append", default=[], help="one more package to take along; may be repeated")
    one.add_argument("--state", type=Path, help="folder of checkpoints to take along")
    two = commands.add_parser("run", help="there: run commands, leave models and checkpoints in a folder")
    two.add_argument("commands", nargs="+")
    seconds = float(os.environ.get("KIT_SECONDS", "540"))
    two.add_argument(
        "--seconds", type=float, default=seconds, help="time for all commands (default 540, or $KIT_SECONDS)"
    )
    two.add_argument(
        "--out",
        type=Path,
        default=Path(os.environ.get("OUT", "kit-out")),
        help="folder for what goes back (default $OUT)",
    )
    two.add_argument("--most-files", type=int, default=8, help="files that may go back (default 8)")
    two.add_argument("--most-mib", type=int, default=64, help="MiB that may go back (default 64)")
    three = commands.add_parser("join", help="unpack what came back")
    three.add_argument("folder", type=Path)
    three.add_argument("target", type=Path)
    given = vars(parser.parse_args())
    command = given.pop("command")
    if command == "prepare":
        given["wheels"] = given.pop("wheel")
        prepare(**given)
    elif command == "run":
        return run(**given)
    else:
        join(**given)
    return 0


if __name__ == "__main__":
    sys.exit(main())
