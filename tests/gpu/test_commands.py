"""Protects the commands on a GPU: each takes --device, says where it ran, and fails with exit 8 and advice where it
cannot.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from latcomp.cli.main import run
from tests.video.make import write

from .conftest import lines_of

Latcomp = Callable[..., tuple[int, str, str]]

RUN = "from latcomp.cli.main import run; run(sys.argv[1:])"


@pytest.fixture
def latcomp(capfd: pytest.CaptureFixture[str]) -> Latcomp:
    """(exit code, standard output, standard error) of a command inside this process."""

    def call(*arguments: object) -> tuple[int, str, str]:
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            run([str(argument) for argument in arguments])
        return (int(ended.value.code or 0), *capfd.readouterr())

    return call


def test_a_clip_goes_through_all_commands(device: str, clip: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    """Encode, decode, compare, tokens and batch, each told to run there."""

    def json_of(*arguments: object) -> dict[str, Any]:
        code, out, err = latcomp(*arguments, "--device", device, "--json", "-q")
        assert code == 0, err
        return dict(json.loads(out))

    lat, out = tmp_path / "clip.lat", tmp_path / "out.mkv"
    assert json_of("encode", clip, lat)["device"] == device
    decoded = json_of("decode", lat, out)
    assert (decoded["device"], decoded["frames"]) == (device, 36)
    compared = json_of("compare", clip, lat)
    assert compared["frames"] == 36 and compared["psnr_y"] > 20
    assert latcomp("tokens", lat, tmp_path / "a.npz", "--device", device, "-q") == (0, "", "")
    with np.load(tmp_path / "a.npz") as arrays:
        assert arrays["latents"].dtype == np.float32 and len(arrays["tokens"]) == arrays["mask"].sum()
    (tmp_path / "in").mkdir()
    for name in ("a.mkv", "b.mkv"):
        (tmp_path / "in" / name).write_bytes(clip.read_bytes())
    jobs = 1 if device == "cpu" else 2
    code, lines, err = latcomp(
        "batch", tmp_path / "in", tmp_path / "lats", "--jobs", jobs, "--device", device, "--json", "-q"
    )
    assert code == 0, err
    assert [json.loads(line)["status"] for line in lines.splitlines()] == ["done", "done"]
    assert (tmp_path / "lats" / "a.lat").read_bytes() == lat.read_bytes()


def test_a_gpu_that_is_not_there_is_exit_8(clip: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    """With CUDA and without: there are never so many."""
    for command in (["encode", clip, tmp_path / "a.lat"], ["batch", clip.parent, tmp_path / "lats"]):
        code, out, err = latcomp(*command, "--device", "cuda:999")
        assert (code, out) == (8, "")
        assert "cuda:999 is not available" in err and "--device cpu" in err
    assert not (tmp_path / "a.lat").exists()


FILLED_UP = """
import torch
torch.cuda.set_per_process_memory_fraction({mebibytes} * 2**20 / torch.cuda.mem_get_info()[1])
"""
# as much as the process holds with everything loaded, and so much more
LIMITED = """
import resource, torch
import constriction, safetensors.torch
import latcomp.batch.worker
from latcomp.kernels import fastest
torch.set_num_threads(1)
fastest()  # its products take OpenBLAS's buffers, which ends the process where it gets none
held = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (held + {mebibytes} * 2**20, resource.RLIM_INFINITY))
"""


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """4 frames of 3840x2160: in fp32 400 MB."""
    path = tmp_path_factory.mktemp("large") / "large.mkv"
    write(path, [np.full((2160, 3840, 3), 40 * index, np.uint8) for index in range(4)], options={"preset": "ultrafast"})
    return path


@pytest.mark.parametrize("mebibytes", [1, 200], ids=["while the models are loaded", "while frames are encoded"])
def test_out_of_memory_is_exit_8_and_says_what_to_lower(
    mebibytes: int, device: str, large: Path, tmp_path: Path
) -> None:
    if device == "cpu":
        if not Path("/proc/self/statm").exists():
            pytest.skip("needs /proc")
        if mebibytes < 100:
            pytest.skip("on a CPU Python itself would fail first")
        before = LIMITED.format(mebibytes=300)
    else:
        before = FILLED_UP.format(mebibytes=mebibytes)
    lat = tmp_path / "a.lat"
    command = [sys.executable, "-c", f"import sys\n{before}\n{RUN}", "encode", str(large), str(lat), "--device", device]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stdout) == (8, ""), done.stderr
    (line,) = done.stderr.splitlines()
    assert "out of memory" in line and "scale the video down" in line
    assert ("--device cpu" in line) == (device != "cpu")
    assert list(tmp_path.iterdir()) == []


def test_the_summary_names_the_figures(figure: Callable[[str, float], None], request: pytest.FixtureRequest) -> None:
    """What a test records is in its report, and from there in the summary; what other tools record is not."""
    figure("share of tokens", 0.25)
    request.node.user_properties.append(("seconds", 3.0))
    call = pytest.CallInfo.from_call(lambda: None, "call")
    report = pytest.TestReport.from_item_and_call(request.node, call)
    assert lines_of([report]) == [f"0.25         share of tokens  ({request.node.name})"]
