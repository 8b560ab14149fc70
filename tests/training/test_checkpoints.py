"""Protects: a training can be gone on with from what it left, whole or in pieces, and two trainings do not share what
they leave.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from latcomp.errors import UsageError
from latcomp.training import tokenizer
from latcomp.training.checkpoints import Checkpoints, find_checkpoint, load_checkpoint
from latcomp.training.loop import TrainOptions, start
from latcomp.training.schedule import Schedule
from latcomp.training.tokenizer import TokenizerTask

CPU = torch.device("cpu")


def state(number: int) -> dict[str, Any]:
    return {"step": number, "weights": torch.full((3000,), float(number))}


@pytest.mark.parametrize("piece_bytes", [None, 5000])
def test_what_is_saved_is_loaded(tmp_path: Path, piece_bytes: int | None) -> None:
    checkpoints = Checkpoints(tmp_path / "checkpoints", piece_bytes)
    for number in (1, 2):
        checkpoints.save("state.pt", state(number))
    path = find_checkpoint(tmp_path)
    assert path == tmp_path / "checkpoints" / "state.pt"
    found = load_checkpoint(path, CPU)
    assert found["step"] == 2
    assert torch.equal(found["weights"], state(2)["weights"])
    assert all(file.stat().st_size <= 5000 for file in (tmp_path / "checkpoints").iterdir()) == (
        piece_bytes is not None
    )


def test_one_form_of_a_checkpoint_replaces_the_other(tmp_path: Path) -> None:
    for number, piece_bytes in enumerate((5000, None, 3000, 9000, None)):
        Checkpoints(tmp_path, piece_bytes).save("state.pt", state(number))
        assert load_checkpoint(tmp_path / "state.pt", CPU)["step"] == number
    assert [path.name for path in tmp_path.iterdir()] == ["state.pt"]


def test_pieces_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    Checkpoints(tmp_path, 5000).save("state.pt", state(1))
    whole = (tmp_path / "state.pt.001").read_bytes()
    (tmp_path / "state.pt.001").write_bytes(whole[:-1] + b"!")
    with pytest.raises(UsageError, match="belong together"):
        load_checkpoint(tmp_path / "state.pt", CPU)
    (tmp_path / "state.pt.001").unlink()
    with pytest.raises(UsageError, match="cannot be read"):
        load_checkpoint(tmp_path / "state.pt", CPU)


def test_the_checkpoint_before_the_learning_rate_fell_is_preferred(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    checkpoints.save("state.pt", state(9))
    checkpoints.save("stable.pt", state(5))
    assert load_checkpoint(find_checkpoint(tmp_path) or tmp_path, CPU)["step"] == 5


def test_runs_whose_folders_share_a_name_do_not_share_checkpoints(clips: Path, trained: Path, tmp_path: Path) -> None:
    other = tokenizer.train(clips, tmp_path / trained.name, steps=1, preset="tiny", seed=1)
    one, two = (load_checkpoint(folder / "checkpoints" / "state.pt", CPU) for folder in (trained, other))
    assert any(
        not torch.equal(value, two["modules"]["tokenizer"][name]) for name, value in one["modules"]["tokenizer"].items()
    )


@pytest.mark.parametrize("piece_mib", [None, 0.05])
def test_a_resumed_run_has_the_loss_that_the_first_would_have_had_next(
    clips: Path, tmp_path: Path, piece_mib: float | None
) -> None:
    """Weights, averages and the state of the optimisers all come back: the same batches give the same losses from there
    on.
    """
    options = TrainOptions(clips, tmp_path / "a", steps=9, preset="tiny", device="cpu", checkpoint_piece_mib=piece_mib)
    first = start(TokenizerTask, options)
    batches = [first.make_batch()(step, False) for step in range(4)]
    for batch in batches[:2]:
        first.setting.run.update(first.loss(batch, first.setting.run.step)[0], 1.0)
    first.setting.run.save_state(Schedule(None, 9))
    second = start(
        TokenizerTask, TrainOptions(clips, tmp_path / "b", steps=9, preset="tiny", device="cpu", resume=tmp_path / "a")
    )
    assert second.setting.run.step == 2
    for batch in batches[2:]:
        losses = [task.loss(batch, task.setting.run.step)[0] for task in (first, second)]
        assert torch.equal(losses[0], losses[1])
        for task, loss in zip((first, second), losses, strict=True):
            task.setting.run.update(loss, 1.0)
    averages = [task.setting.run.averaged("tokenizer").state_dict() for task in (first, second)]
    assert all(torch.equal(value, averages[1][name]) for name, value in averages[0].items())
