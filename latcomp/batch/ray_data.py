"""The encoder as a step of a Ray Data pipeline: rows that name videos in, rows that say what became of them out.

Needs no ray itself: it is a class that is called with columns, which any engine of that kind can use."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from latcomp.batch.events import FAILED, Outcome
from latcomp.batch.plan import Plan, Task
from latcomp.batch.settings import BatchSettings
from latcomp.codec.settings import EncodeSettings
from latcomp.errors import UsageError

if TYPE_CHECKING:
    from latcomp.batch.worker import Worker


class LatcompEncoder:
    """Encodes the videos of a batch of rows, for `ray.data.Dataset.map_batches`.

    It takes the columns `path` (a video) and `out` (its .lat file) and gives them back with `status` ('done', 'skipped'
    where an intact .lat of this video and these settings was there, or 'failed'), `bytes` (int64, of the file), `keep`
    (float64, the share of tokens kept), `frames` (int64) and `error` (a text, '' where it went well). A failed row has
    0 bytes and frames, and NaN to keep. Other columns pass through.

    A video that fails is a row and ends nothing. A file stands complete under its name before its row is given, so a
    pipeline that is run again skips it. What is pickled are the settings; models are loaded once in each process, at
    the first batch, on the GPU that CUDA_VISIBLE_DEVICES names, as Ray sets it."""

    def __init__(
        self,
        *,
        tokenizer: str | Path | None = None,
        audio: bool = True,
        max_pixels: int | None = None,
        device: str = "auto",
        force: bool = False,
        deinterlace: bool | None = None,
        video_track: int | None = None,
        keep_going: bool = False,
        **settings: Any,
    ) -> None:
        """settings: those of `latcomp.encode` that say how, as quality=6 or camera='off'; the others: see
        `BatchSettings`. Raises `UsageError` for values out of range, `TypeError` for names that are not known.
        """
        self.settings = BatchSettings(
            EncodeSettings(**settings),
            None if tokenizer is None else str(tokenizer),
            audio,
            max_pixels,
            device,
            force,
            deinterlace,
            video_track,
            keep_going,
        )
        if device.startswith("cuda:"):
            raise UsageError(f"device={device!r}: each process sees its own GPUs; choose auto, cpu or cuda")
        self._worker: Worker | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_worker": None}

    def __call__(self, batch: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The rows of a batch with what became of each. Raises `UsageError` for missing columns, and what loading the
        models raises: no row could be encoded then."""
        missing = [name for name in ("path", "out") if name not in batch]
        if missing:
            raise UsageError(f"the batch has no column {' and no column '.join(missing)}: it has {', '.join(batch)}")
        if self._worker is None:
            from latcomp.batch.worker import Worker

            self._worker = Worker(self.settings)
        rows = list(zip(batch["path"], batch["out"], strict=True))
        outcomes = [self._encode(self._worker, path, out) for path, out in rows]
        figures = [outcome.figures or {} for outcome in outcomes]
        errors = ["" if outcome.error is None else str(outcome.error) for outcome in outcomes]
        return {
            **{name: np.asarray(values) for name, values in batch.items()},
            "status": _texts(outcome.status for outcome in outcomes),
            "bytes": np.array([each.get("bytes_total", 0) for each in figures], np.int64),
            "keep": np.array([each.get("keep_ratio", np.nan) for each in figures], np.float64),
            "frames": np.array([each.get("frames", 0) for each in figures], np.int64),
            "error": _texts(errors),
        }

    def _encode(self, worker: Worker, path: Any, out: Any) -> Outcome:
        """What became of one row, whatever stands in it."""
        try:
            task = Task(0, str(path), Path(path), Path(out))
        except TypeError as error:
            wrong = UsageError(f"path {path!r:.60} and out {out!r:.60} are not two paths: {error}")
            return Outcome(Task(0, str(path), Path(), Path()), FAILED, wrong)
        return worker.run(task)


def rows_of(plan: Plan) -> list[dict[str, str]]:
    """The rows of a batch's plan, absolute paths, for `ray.data.from_items`."""
    return [{"path": str(task.source.absolute()), "out": str(task.target.absolute())} for task in plan.tasks]


def _texts(values: Any) -> np.ndarray:
    """An array of texts: objects, as those of a fixed length would be cut where batches are joined."""
    return np.array(list(values), dtype=object)
