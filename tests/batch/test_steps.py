"""Protects: a batch with a tokenizer that brings no steps goes on where it stopped, and tells other steps apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from latcomp.batch.plan import Task
from latcomp.batch.settings import BatchSettings
from latcomp.batch.worker import Worker
from latcomp.codec.settings import EncodeSettings
from latcomp.latents.profile import CodingProfile
from tests.tokenizer import made_up
from tests.tokenizer.made_up import Habits
from tests.video.make import write


def test_files_with_fitted_steps_are_skipped(tmp_path: Path) -> None:
    """Fitted steps follow from the video. Those of a profile that came later are another setting."""
    frames = [np.full((32, 32, 3), 40 + index, np.uint8) for index in range(13)]
    frames[5][:16] = 200
    write(tmp_path / "a.mkv", frames)
    task = Task(0, "a.mkv", tmp_path / "a.mkv", tmp_path / "a.lat")
    with made_up.known():
        folder = made_up.write_made_up(tmp_path / "t", Habits(steps_known=False))
        settings = BatchSettings(encode=EncodeSettings(), tokenizer=str(folder), device="cpu", audio=False)
        worker = Worker(settings)
        found = [worker.run(task), worker.run(task), Worker(settings).run(task)]
        assert [(one.status, one.error) for one in found] == [("done", None), ("skipped", None), ("skipped", None)]
        CodingProfile(channel_step=(2.0,) * 6, channel_scale=(2.0,) * 6).save(folder)
        other = Worker(settings).run(task)
        assert other.status == "failed" and "other steps of the channels" in str(other.error)
