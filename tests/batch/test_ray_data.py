"""Protects that a batch of rows is encoded whatever stands in it, and that a Ray cluster of two nodes does so too."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import latcomp
from latcomp.batch import LatcompEncoder, make_plan, rows_of
from latcomp.errors import DeviceError, UsageError

VIDEOS = 4


@pytest.fixture
def videos(tmp_path: Path, make_video: Callable[..., Path]) -> Path:
    """A folder of four good videos and one that is none."""
    (tmp_path / "src").mkdir()
    for number in range(VIDEOS):
        make_video(tmp_path / f"src/{number}.mp4", 12, 64, 48)
    (tmp_path / "src/bad.mp4").write_bytes(b"no video at all")
    return tmp_path / "src"


def columns(rows: list[dict[str, str]]) -> dict[str, np.ndarray]:
    return {name: np.array([row[name] for row in rows], dtype=object) for name in rows[0]}


def test_every_row_says_what_became_of_it(videos: Path, tmp_path: Path) -> None:
    encode = LatcompEncoder(device="cpu", quality=3, camera="off")
    batch = columns(rows_of(make_plan(videos, tmp_path / "dst")))
    batch["caption"] = np.array(["a", "b", "c", "d", "e"])
    found = encode(batch)
    assert list(found) == ["path", "out", "caption", "status", "bytes", "keep", "frames", "error"]
    assert found["status"].tolist() == ["done"] * VIDEOS + ["failed"] and found["caption"].tolist() == list("abcde")
    assert "bad.mp4" in found["error"][-1] and not any(found["error"][:-1])
    assert found["frames"].tolist() == [12] * VIDEOS + [0] and np.isnan(found["keep"][-1]) and not found["bytes"][-1]
    assert (found["keep"].dtype, found["bytes"].dtype) == (np.float64, np.int64)
    for out, size in zip(found["out"][:-1], found["bytes"][:-1], strict=True):
        assert Path(out).stat().st_size == size and latcomp.check(out).ok
    again = encode(batch)
    assert again["status"].tolist() == ["skipped"] * VIDEOS + ["failed"]
    assert again["bytes"].tolist() == found["bytes"].tolist()
    assert sorted(path.name for path in (tmp_path / "dst").iterdir()) == [f"{number}.lat" for number in range(VIDEOS)]


def test_rows_that_are_no_paths_fail_by_themselves(videos: Path, tmp_path: Path) -> None:
    encode = LatcompEncoder(device="cpu")
    found = encode(
        {
            "path": np.array([None, str(videos / "gone.mp4"), str(videos / "0.mp4")], dtype=object),
            "out": np.array([3, str(tmp_path / "gone.lat"), str(tmp_path / "0.lat")], dtype=object),
        }
    )
    assert found["status"].tolist() == ["failed", "failed", "done"]
    assert "not two paths" in found["error"][0] and "gone.mp4" in found["error"][1]
    with pytest.raises(UsageError, match="no column out"):
        encode({"path": np.array(["a"])})


def test_what_is_pickled_are_the_settings(videos: Path, tmp_path: Path) -> None:
    encode = LatcompEncoder(device="cpu", quality=3)
    encode(columns([{"path": str(videos / "0.mp4"), "out": str(tmp_path / "0.lat")}]))
    packed = pickle.dumps(encode)
    assert len(packed) < 1500 and pickle.loads(packed).settings == encode.settings


def test_settings_are_checked_before_any_row() -> None:
    with pytest.raises(UsageError, match="quality"):
        LatcompEncoder(quality=11)
    with pytest.raises(UsageError, match="each process sees its own"):
        LatcompEncoder(device="cuda:1")
    with pytest.raises(TypeError, match="colour"):
        LatcompEncoder(colour=1)


def test_a_device_that_is_not_there_ends_the_pipeline(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceError):
        LatcompEncoder(device="cuda")({"path": np.array(["a"]), "out": np.array(["b"])})


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a cluster of two nodes of one processor each, started as on two machines."""
    pytest.importorskip("ray", reason="ray is not installed")
    command = Path(sys.executable).with_name("ray")
    address = f"127.0.0.1:{free_port()}"
    # sockets have short paths
    environment = os.environ | {"RAY_TMPDIR": str(tmp_path_factory.getbasetemp().parent), "OMP_NUM_THREADS": "1"}
    common = ["--num-cpus", "1", "--disable-usage-stats", "--block"]
    nodes = [["--head", "--port", address.split(":")[1], "--include-dashboard", "false"], ["--address", address]]
    running: list[subprocess.Popen[str]] = []
    try:
        for number, node in enumerate(nodes):
            process = subprocess.Popen(
                [command, "start", *node, *common],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
            running.append(process)
            assert process.stdout is not None
            said = ""
            for line in process.stdout:
                said += line
                if "--block" in line:  # it is up, and says that it stays
                    break
            assert process.poll() is None, f"node {number} did not start: {said}"
        yield address
    finally:
        for process in reversed(running):
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(30)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


PIPELINE = """
import sys, json, ray
from latcomp.batch import LatcompEncoder, make_plan, rows_of
from pathlib import Path

class Where(LatcompEncoder):
    def __call__(self, batch):
        node = ray.get_runtime_context().get_node_id()
        return {**super().__call__(batch), "node": [node] * len(batch["path"])}

ray.init(sys.argv[1], log_to_driver=False, logging_level="ERROR")
assert len(ray.nodes()) == 2
rows = rows_of(make_plan(Path(sys.argv[2]), Path(sys.argv[3])))
for _ in range(2):
    done = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
        Where,
        fn_constructor_kwargs={"quality": 3, "camera": "off"},
        compute=ray.data.ActorPoolStrategy(size=2),
        batch_size=1,
        num_cpus=1,
    )
    print(json.dumps(done.take_all()))
"""


def test_two_nodes_encode_a_data_set_of_rows(cluster: str, videos: Path, tmp_path: Path) -> None:
    """And the local engine's folder of files, by the actors of `latcomp batch`."""
    import json

    command = [sys.executable, "-c", PIPELINE, cluster, str(videos), str(tmp_path / "dst")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    first, second = (json.loads(line) for line in done.stdout.splitlines() if line.startswith("[{"))
    by_name = {Path(row["path"]).name: row for row in first}
    good = [by_name[f"{number}.mp4"] for number in range(VIDEOS)]
    assert by_name["bad.mp4"]["status"] == "failed" and "cannot be read as video" in by_name["bad.mp4"]["error"]
    assert [row["status"] for row in good] == ["done"] * VIDEOS
    assert len({row["node"] for row in first}) == 2
    for row in good:
        assert Path(row["out"]).stat().st_size == row["bytes"] and latcomp.check(row["out"]).ok
    assert sorted(row["status"] for row in second) == ["failed"] + ["skipped"] * VIDEOS

    files = {path.name: path.read_bytes() for path in (tmp_path / "dst").iterdir()}
    other = [sys.executable, "-m", "latcomp", "batch", videos, tmp_path / "cli", "--engine", "ray", "--jobs", "2"]
    ran = subprocess.run(
        [*map(str, other), "-Q", "3", "--camera", "off"], env=os.environ | {"RAY_ADDRESS": cluster}, timeout=240
    )
    assert ran.returncode == 3  # of the file that is no video
    assert {path.name: path.read_bytes() for path in (tmp_path / "cli").iterdir()} == files
