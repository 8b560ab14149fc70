"""One worker: models loaded once, then one file after the other, each with an outcome whatever happens to it."""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from latcomp.batch.events import DONE, FAILED, SKIPPED, Outcome
from latcomp.batch.output_state import OutputKind, OutputState, inspect_output
from latcomp.batch.plan import Task
from latcomp.batch.settings import BatchSettings
from latcomp.codec.encode import Encoder
from latcomp.codec.progress import Progress
from latcomp.container import Limits
from latcomp.devices import memory_errors
from latcomp.errors import LatcompError, OutputError
from latcomp.limits import DEFAULT_MAX_PIXELS
from latcomp.models import prior_finder
from latcomp.output import is_write_failure, output_file
from latcomp.printable import printable
from latcomp.report.stats import stats_dict
from latcomp.video import Damage, VideoReader, open_video

OnFrames = Callable[[int, int | None], None]
"""Frames encoded so far, and of how many, None where the source does not say."""
OnTemporary = Callable[[Path], None]
"""The temporary file that is being written, for whoever must remove it when this process is killed."""


def share_of_device(device: str, number: int) -> str:
    """The device of worker `number`: with 'auto' and several GPUs, workers take them in turn."""
    count = torch.cuda.device_count() if device == "auto" else 0
    return f"cuda:{number % count}" if count > 1 else device


class Worker:
    """Loaded models; `run` encodes one file of the batch after the other.

    Raises what `Encoder` raises: `UsageError` for settings and tokenizers, `DeviceError` for a device that is not
    there."""

    def __init__(self, settings: BatchSettings, number: int = 0) -> None:
        self.settings = settings
        device = share_of_device(settings.device, number)
        self.encoder = Encoder(settings.encode, settings.tokenizer, device)
        self._find_prior = prior_finder(self.encoder.folder)
        self._max_pixels = settings.max_pixels or DEFAULT_MAX_PIXELS

    def run(self, task: Task, on_frames: OnFrames | None = None, on_temporary: OnTemporary | None = None) -> Outcome:
        """Encode one file, or find that it is there already. What goes wrong with this file is in the outcome, not
        raised.
        """
        began = time.monotonic()
        try:
            status, figures, notes, damage = self._run(task, on_frames, on_temporary)
            return Outcome(task, status, None, figures, time.monotonic() - began, notes, damage)
        except Exception as error:
            if os.environ.get("LATCOMP_DEBUG") == "1":
                print(
                    "\n".join(map(printable, "".join(traceback.format_exception(error)).splitlines())), file=sys.stderr
                )
            return Outcome(task, FAILED, _named(error, task), None, time.monotonic() - began)

    def _run(
        self, task: Task, on_frames: OnFrames | None, on_temporary: OnTemporary | None
    ) -> tuple[str, dict[str, Any], tuple[str, ...], tuple[Damage, ...]]:
        """(status, figures, notes, damage of the video) of a file that went well."""
        with open_video(
            task.source,
            audio=self.settings.audio,
            max_pixels=self._max_pixels,
            deinterlace=self.settings.deinterlace,
            video_track=self.settings.video_track,
            keep_going=self.settings.keep_going,
        ) as reader:
            expected = self.encoder.header(reader)
            limits = Limits(max_pixels=self._max_pixels)
            output = inspect_output(task.target, expected, task.source, limits, self._find_prior)
            if output.kind is OutputKind.VALID and output.figures is not None:
                return SKIPPED, output.figures, (), ()
            if output.kind is OutputKind.DIFFERENT and not self.settings.force:
                raise OutputError(
                    f"{task.target} exists and {output.reason}; force=True replaces it", settings=("force",)
                )
            figures = self._encode(task, reader, output, on_frames, on_temporary)
            again = () if output.kind is OutputKind.ABSENT else (f"{task.target} {output.reason}; re-encoded",)
            return DONE, figures, (*again, *reader.notes, *self.encoder.about, *self.encoder.notes), reader.damage

    def _encode(
        self,
        task: Task,
        reader: VideoReader,
        output: OutputState,
        on_frames: OnFrames | None,
        on_temporary: OnTemporary | None,
    ) -> dict[str, Any]:
        """The figures of the file, which is complete under its name when this returns."""

        def show(progress: Progress) -> None:
            if on_frames is not None:
                on_frames(progress.frames, progress.frames_total)

        try:
            task.target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"{task.target.parent} cannot be made: {(error.strerror or str(error)).lower()}"
            ) from None
        with output_file(task.target, force=output.kind is not OutputKind.ABSENT) as temporary:
            if on_temporary is not None:
                on_temporary(temporary)
            with memory_errors(self.encoder.device), temporary.open("wb") as file:
                summary = self.encoder.run(reader, file, show)
        figures = stats_dict(summary)
        del figures["groups"]
        return figures


def _named(error: Exception, task: Task) -> LatcompError:
    """The error as one of ours, which can go to another process; `LatcompError` itself stands for what nobody
    expected.
    """
    if isinstance(error, LatcompError):
        return error
    if isinstance(error, OSError) and is_write_failure(error):
        return OutputError(f"{task.target} cannot be written: {(error.strerror or str(error)).lower()}")
    lines = str(error).strip().splitlines()
    return LatcompError(
        f"{task.source}: unexpected {type(error).__name__}: {lines[0] if lines else 'no message'} (set LATCOMP_DEBUG=1 "
        "for a traceback)"
    )
