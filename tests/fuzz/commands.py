"""The commands on any file, in this process: how each of them ends. What ends in anything but a documented exit code is
a finding.

`python -m tests.fuzz.commands --seconds 600` changes files and runs every command on each, without atheris: torch and
PyAV are in the way of its coverage, and what counts here is that the structure of the files is known (`mutate.py`)."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import random
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from pathlib import Path

import pytest

from latcomp.cli.exit_codes import CODES, exit_code
from latcomp.container import Limits
from latcomp.errors import LatcompError
from tests.conftest import moving_square
from tests.container.make import prior_arrays
from tests.fuzz.mutate import changed_lat
from tests.fuzz.targets import Finding, demand

LIMITS = {
    "max_pixels": 1 << 14,
    "max_frames": 1 << 16,
    "max_lost_frames": 512,
    "max_tokens": 1 << 12,
    "max_bytes": 1 << 20,
}
FILE_CODES = {0, 4, 5, 7}
"""What a command may say of a file: nothing, damaged, not supported, a limit."""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    message: str = ""


@contextlib.contextmanager
def models_built_once() -> Iterator[None]:
    """Inside, a model is built once and not for every call, which would take longer than all the rest."""
    from latcomp import models

    with pytest.MonkeyPatch.context() as patch:
        for name in ("load_tokenizer", "load_lit"):
            patch.setattr(models, name, lru_cache(maxsize=8)(getattr(models, name)))
        yield


class Bench:
    """A folder with a tiny tokenizer, its LIT and its prior, and the commands on one file in it."""

    def __init__(self, folder: Path) -> None:
        """folder: an empty one."""
        self.folder = folder
        self.source = folder / "in.lat"
        self.tokenizer = folder / "tokenizer"
        if not self.tokenizer.exists():
            _make_models(self.tokenizer)

    @cached_property
    def seeds(self) -> list[bytes]:
        """Files that are right: under the prior in both codings, lossless, with a LIT's groups and without, with sound
        and without.
        """
        from latcomp import encode

        clip = self.folder / "clip.mkv"
        _make_clip(clip)
        found = []
        for settings in (
            {"quality": 3.0},
            {"quality": 6.0, "coding": "zstd"},
            {"lossless": True, "audio": False},
            {"keep": 0.5, "audio": False},
        ):
            out = io.BytesIO()
            encode(clip, out, tokenizer=self.tokenizer, device="cpu", **settings)
            found.append(out.getvalue())
        plain = self.folder / "plain"
        shutil.copytree(self.tokenizer, plain, ignore=shutil.ignore_patterns("prior"))
        out = io.BytesIO()
        encode(clip, out, tokenizer=plain, device="cpu", quality=4)
        return [*found, out.getvalue()]

    def call(self, command: str, data: bytes) -> Ended:
        """A command on a file of these bytes. Raises `Finding` for anything but a named error of a code that is about
        files.
        """
        self.source.write_bytes(data)
        try:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                self._run(command)
        except LatcompError as error:
            code = exit_code(error)
            demand(code in FILE_CODES, f"{command} ends with {code}: {error}")
            return Ended(code, str(error))
        except Exception as error:
            raise Finding(f"{command}: {''.join(traceback.format_exception(error)[-3:])}") from error
        return Ended(0)

    def _run(self, command: str) -> None:
        from latcomp.cli import check, decode, stats, tokens

        common = {"tokenizer": self.tokenizer, "quiet": True, **LIMITS}
        out = self.folder / "out"
        if command == "check":
            check.check([self.source], **common)
        elif command == "repair":
            check.check([self.source], repair=out.with_suffix(".lat"), force=True, **common)
        elif command == "stats":
            stats.stats([self.source], json=True, **common)
        elif command == "html":
            stats.stats([self.source], html=out.with_suffix(".html"), force=True, device="cpu", **common)
        elif command == "tokens":
            tokens.tokens(self.source, out.with_suffix(".npz"), force=True, device="cpu", **common)
        elif command == "decode":
            decode.decode(self.source, "/dev/null", format="y4m", force=True, device="cpu", **common)
        elif command == "part":
            decode.decode(
                self.source, "/dev/null", format="y4m", start=0.0, duration=0.5, force=True, device="cpu", **common
            )
        else:
            decode.decode(self.source, str(out.with_suffix(".mkv")), codec="ffv1", force=True, device="cpu", **common)


COMMANDS = ("check", "stats", "decode", "tokens", "mkv", "part", "repair", "html")
NETWORKS_EVERY, ALL_EVERY = (
    8,
    64,
)  # changed files: on the rest only what needs no network runs, which takes a tenth of the time


def agree(checked: Ended, decoded: Ended) -> bool:
    """Whether two verdicts on a file are one: it is fine, or it is not; a model that was not found is no fault of the
    file.
    """
    found = "was not found" not in decoded.message and "is another one" not in decoded.message
    missing = decoded.code == 5 and not found
    return (checked.code == 0) == (decoded.code == 0) or missing


def _make_models(folder: Path) -> None:
    """A tokenizer of four channels with a LIT and a prior beside it, all of chance weights and as small as can be."""
    import torch
    from safetensors.numpy import save_file
    from safetensors.torch import save_file as save_torch

    from latcomp import models
    from latcomp.inpaint.config import LitConfig
    from latcomp.inpaint.model import Lit
    from latcomp.tokenizer.cv8x8x4.config import TokenizerConfig
    from latcomp.tokenizer.cv8x8x4.model import Tokenizer

    torch.manual_seed(0)
    channels, ones = 4, (1.0,) * 4
    made = TokenizerConfig(
        "tiny",
        channels,
        encoder_width=8,
        encoder_blocks=1,
        decoder_width=8,
        decoder_blocks=1,
        channel_mean=(0.0,) * channels,
        channel_deviation=ones,
        channel_scale=ones,
        channel_step=ones,
    )
    folder.mkdir()
    made.save(folder / models.CONFIG)
    weights = {name: value.contiguous() for name, value in Tokenizer(made).state_dict().items()}
    save_torch(weights, folder / models.WEIGHTS)
    sha256 = models.sha256_of(folder / models.WEIGHTS)
    (folder / "prior").mkdir()
    (folder / "lit").mkdir()
    save_file(
        prior_arrays(channels, embed=2, width=3, known=2, mask_width=2, mask_hidden=2),
        folder / "prior" / models.WEIGHTS,
    )
    own = {"name": "tiny-prior", "channels": channels, "embed": 2, "tokenizer_sha256": sha256}
    (folder / "prior" / models.CONFIG).write_text(json.dumps(own), encoding="utf-8")
    config = LitConfig(
        "tiny-lit", channels, width=4, layers=1, heads=1, expansion=1, tokenizer_sha256=sha256, latent_scale=ones
    )
    save_torch(Lit(config).state_dict(), folder / "lit" / models.WEIGHTS)
    config.save(folder / "lit" / models.CONFIG)


def _make_clip(path: Path) -> None:
    """20 frames of 16x8 with a scene cut, so that there are two segments, and sound."""
    import av
    import numpy as np

    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 16, 8, "yuv420p"
        audio = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        for index, pixels in enumerate(moving_square(20, 16, 8)):
            frame = av.VideoFrame.from_ndarray(pixels if index < 12 else 255 - pixels[::-1], format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        for start in range(0, 800, 200):
            sample = av.AudioFrame.from_ndarray(np.arange(200, dtype=np.int16)[None], format="s16", layout="mono")
            sample.sample_rate, sample.pts, sample.time_base = 8000, start, Fraction(1, 8000)
            container.mux(audio.encode(sample))
        container.mux(audio.encode())


def main() -> int:
    """Change files and run every command on each, for a time; 1 when something was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for the files that findings were made with")
    chosen = parser.parse_args()
    rng = random.Random(chosen.seed)
    counts: Counter[str] = Counter()
    found: dict[str, str] = {}
    assert set(LIMITS) and Limits() and set(CODES.values()) >= FILE_CODES - {0}
    with tempfile.TemporaryDirectory(prefix="latcomp-fuzz-") as folder, models_built_once():
        bench = Bench(Path(folder))
        until = time.monotonic() + chosen.seconds
        while time.monotonic() < until:
            data = changed_lat(rng.choice(bench.seeds), rng)
            ends: dict[str, Ended] = {}
            number = counts["check"]
            for command in (
                COMMANDS if number % ALL_EVERY == 0 else COMMANDS[:4] if number % NETWORKS_EVERY == 0 else COMMANDS[:2]
            ):
                counts[command] += 1
                try:
                    ends[command] = bench.call(command, data)
                    counts[f"{command} {ends[command].code}"] += 1
                    if command == "decode":
                        demand(agree(ends["check"], ends["decode"]), f"check {ends['check']}, decode {ends['decode']}")
                except (Finding, KeyError) as finding:
                    name = str(finding)[-300:]
                    if name not in found:
                        found[name] = f"{len(found)}.lat"
                        print(f"FOUND {found[name]}: {finding}", flush=True)
                        if chosen.keep:
                            chosen.keep.mkdir(parents=True, exist_ok=True)
                            (chosen.keep / found[name]).write_bytes(data)
    print(sum(counts[command] for command in COMMANDS), "executions", dict(counts), len(found), "findings")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
