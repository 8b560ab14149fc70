"""What cached latents cost as .lat files beside what trainers keep them as, at an equal error.

Rivals: the numbers as they are (bfloat16), these under zstd, and whole numbers of one uniform step as int8 under zstd,
as they are or as differences from one latent frame to the next. latcomp is held to the error of the int8 ones. Levels
of zstd are 19 throughout."""

from __future__ import annotations

import io
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from latcomp.codec.decode_latents import decode_latents
from latcomp.codec.encode_latents import encode_latents
from latcomp.container import Group, Reader, Writer
from latcomp.container.zstd import compress, decompress
from latcomp.errors import UsageError
from latcomp.latents.steps import deviation_of

STEPS = (0.05, 0.1, 0.2)
"""Of the rivals, in units of the latents."""
INT8_MOST = 127
TOKENIZER = {"spatial": 8, "temporal": 4, "first_frames": 1}
"""What most video tokenizers share. Sizes do not depend on it."""
WAYS: dict[str, dict[str, Any]] = {
    "lat": {"keep": 1.0},
    "lat-context": {"keep": 1.0, "coding": "context"},
    "lat-dropping": {"threshold": None},
    "lat-dropping-context": {"threshold": None, "coding": "context"},
    "lat-keep-0.8": {"keep": 0.8},
    "lat-keep-0.5": {"keep": 0.5},
}
"""Settings of `encode_latents`: every token is kept, those that the quality's threshold keeps, or a share of them; the
others are held."""


@dataclass(frozen=True)
class LatentRow:
    """One file of latents in one way at one step of the rivals."""

    file: str
    method: str
    step: float | None
    """None for what does not depend on it."""
    bytes: int | None
    """Of the whole file with its header, or of a rival's payload alone; None where the error cannot be met."""
    ratio: float | None
    """How many times smaller than the latents in bfloat16."""
    relative_error: float | None
    """Squared error over the sum of the squared latents."""
    keep_ratio: float
    encode_seconds: float
    """Of processor time; of latcomp with the search for the steps that meet the error."""
    write_seconds: float | None
    """Of that, coding and writing tokens that are decided."""
    decode_seconds: float


def tensors_of(path: Path) -> Iterator[tuple[str, torch.Tensor]]:
    """(name, latents (C, T, h, w)) of a safetensors file, in a batch of one or without. Raises `UsageError` for a file
    that cannot be read and one without latents.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise UsageError(f"{path} cannot be read as safetensors: {error}") from None
    found = {name: tensor for name, tensor in tensors.items() if tensor.is_floating_point()}
    found = {name: one[0] if one.ndim == 5 and len(one) == 1 else one for name, one in found.items()}
    found = {name: one for name, one in found.items() if one.ndim == 4 and one.numel()}
    if not found:
        raise UsageError(f"{path} holds no latents (C, T, h, w)")
    for name, one in found.items():
        yield path.stem if len(found) == 1 else f"{path.stem}:{name}", one


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    began = time.process_time()
    found = work()
    return found, time.process_time() - began


class _Measured:
    """The rows of one tensor."""

    def __init__(self, name: str, latents: torch.Tensor) -> None:
        self.name, self.tensor = name, latents
        self.values = latents.float().numpy()
        self.power = float(np.square(self.values, dtype=np.float64).sum())
        if not self.power > 0 or not math.isfinite(self.power):
            raise UsageError(f"{name}: latents of numbers are needed, not all of them zero")
        self.raw = 2 * self.values.size

    def error(self, found: np.ndarray) -> float:
        """Relative squared error of what came back."""
        apart = found.astype(np.float64) - self.values
        return float(np.square(apart).sum() / self.power)

    def row(self, method: str, step: float | None, size: int, found: np.ndarray, seconds: tuple[float, float]) -> Any:
        """A rival's row."""
        error = self.error(found)
        return LatentRow(self.name, method, step, size, self.raw / size, error, 1.0, seconds[0], None, seconds[1])

    def exact(self) -> Iterator[LatentRow]:
        """The numbers as they are; of latents of another type, the nearest of bfloat16."""
        bits = self.tensor.to(torch.bfloat16).contiguous().view(torch.int16).numpy()
        again = torch.from_numpy(bits.copy()).view(torch.bfloat16).float().numpy()
        yield self.row("bf16", None, self.raw, again, (0.0, 0.0))
        packed, there = _timed(lambda: compress(bits.tobytes()))
        _, back = _timed(lambda: decompress(packed, self.raw, "latents"))
        yield self.row("bf16-zstd", None, len(packed), again, (there, back))

    def whole(self, step: float) -> Iterator[LatentRow]:
        """int8 of a uniform step, as it is and as differences along time."""
        for method, changes in (("int8-zstd", False), ("int8-delta-zstd", True)):

            def pack(changes: bool = changes) -> bytes:
                symbols = np.rint(self.values / np.float32(step)).clip(-INT8_MOST, INT8_MOST).astype(np.int8)
                if changes:  # modulo 256, so that every difference has one byte
                    symbols[:, 1:] -= symbols[:, :-1].copy()
                return compress(symbols.tobytes())

            packed, there = _timed(pack)

            def unpack(packed: bytes = packed, changes: bool = changes) -> np.ndarray:
                content = decompress(packed, self.values.size, "latents")
                symbols = np.frombuffer(content, np.int8).reshape(self.values.shape)
                if changes:
                    symbols = np.cumsum(symbols, axis=1, dtype=np.int8)
                return symbols * np.float32(step)

            found, back = _timed(unpack)
            yield self.row(method, step, len(packed), found, (there, back))

    def lat(self, method: str, step: float, most: float) -> LatentRow:
        """A .lat file of a relative squared error of at most `most`."""
        bound = math.sqrt(most * self.power / self.values.size) / deviation_of(self.values)
        tokenizer, file = {"name": "unknown", **TOKENIZER}, io.BytesIO()
        began = time.process_time()
        try:
            result = encode_latents(self.tensor, file, tokenizer=tokenizer, max_rmse=bound, **WAYS[method])
        except UsageError:
            seconds = time.process_time() - began
            return LatentRow(self.name, method, step, None, None, None, 0.0, seconds, None, 0.0)
        there, size = time.process_time() - began, len(file.getvalue())
        file.seek(0)
        found, back = _timed(lambda: np.asarray(decode_latents(file)[0], np.float32))
        error, kept = self.error(found), result.stats["keep_ratio"]
        return LatentRow(self.name, method, step, size, self.raw / size, error, kept, there, _write_again(file), back)


def _write_again(file: io.BytesIO) -> float:
    """Seconds of processor time to code and write what a file holds."""
    file.seek(0)
    reader = Reader(file)
    groups = [item for item in reader if isinstance(item, Group)]

    def write() -> None:
        with Writer(io.BytesIO(), reader.header) as writer:
            for group in groups:
                writer.write_group(group)

    return _timed(write)[1]


def bench_latents(
    files: Sequence[Path], steps: Sequence[float] = STEPS, report: Callable[[str], None] | None = None
) -> dict[str, Any]:
    """`{"rows": [...], "gain": [...]}`: a row for each file, method and step of the rivals; the gain of each way of
    latcomp is how many times smaller its file is than the smallest rival of that step.

    report: told what was measured. Raises `UsageError` for files without latents and steps that are none.
    """
    if not steps or not all(math.isfinite(step) and step > 0 for step in steps):
        raise UsageError("steps above zero are needed, such as 0.05,0.1,0.2", settings=("steps",))
    rows: list[LatentRow] = []
    gains = []
    for path in files:
        for name, latents in tensors_of(path):
            measured = _Measured(name, latents)
            exact = list(measured.exact())
            rows += exact
            for step in steps:
                whole = list(measured.whole(step))
                error = min(row.relative_error or 0.0 for row in whole)
                best = min(row.bytes or 0 for row in [*exact, *whole])
                ways = [measured.lat(method, step, error) for method in WAYS]
                rows += [*whole, *ways]
                found = {row.method: None if row.bytes is None else best / row.bytes for row in ways}
                gains.append({"file": name, "step": step, "relative_error": error, **found})
                if report is not None:
                    report(f"{name} at a step of {step:g}")
    return {"rows": [asdict(row) for row in rows], "gain": gains}
