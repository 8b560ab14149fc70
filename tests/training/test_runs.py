"""Training runs: repeat for a seed, resume, and leave a model that loads and codes."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from latcomp.errors import UsageError
from latcomp.models import load_lit, load_tokenizer, training_facts
from latcomp.tokenizer.cv8x8x4.model import Tokenizer
from latcomp.training import decoder, lit, tokenizer
from latcomp.training.clips import load_clips
from latcomp.training.components import start_from_components
from latcomp.training.crops import random_crop, to_rgb
from latcomp.training.optim import orthogonalise
from latcomp.training.rate import laplace_bits


def test_a_run_repeats_for_its_seed_and_writes_a_whole_model(clips: Path, trained: Path, tmp_path: Path) -> None:
    folders = [
        trained,
        *(tokenizer.train(clips, tmp_path / str(seed), steps=2, preset="tiny", seed=seed) for seed in (0, 1)),
    ]
    a, b, c = (load_file(folder / "model.safetensors") for folder in folders)
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert any(not torch.equal(a[name], c[name]) for name in a)
    model = load_tokenizer(folders[0])
    assert isinstance(model, Tokenizer)
    assert len(model.config.channel_mean) == model.config.channels
    pixels = torch.zeros(1, 3, 8, 32, 32)
    assert model.decode(model.encode(pixels)[0])[0].shape == pixels.shape
    card = (folders[0] / "README.md").read_text()
    assert "steps | 2" in card
    assert "Licence" in card or "licence" in card
    kinds = [json.loads(line)["kind"] for line in (folders[0] / "log.jsonl").read_text().splitlines()]
    assert kinds[-1] == "final"


def test_a_run_goes_on_from_its_checkpoint(clips: Path, trained: Path, tmp_path: Path) -> None:
    folder = tokenizer.train(clips, tmp_path / "second", steps=1, preset="tiny", resume=trained)
    assert "steps | 3" in (folder / "README.md").read_text()


def test_a_lit_is_trained_for_a_tokenizer_and_starts_at_hold(clips: Path, trained: Path, tmp_path: Path) -> None:
    folder = lit.train(clips, tmp_path / "lit", steps=2, preset="tiny", tokenizer=trained)
    model = load_lit(folder)
    assert model.config.tokenizer_sha256
    assert "gain_db@0.3" in (folder / "README.md").read_text()


def test_a_finished_model_can_be_gone_on_with(clips: Path, trained: Path, tmp_path: Path) -> None:
    """Checkpoints get lost, shipped weights do not: `--resume` takes them, with the steps they had."""
    base = shutil.copytree(trained, tmp_path / "tok", ignore=shutil.ignore_patterns("checkpoints"))
    folder = tokenizer.train(clips, tmp_path / "more", steps=1, preset="tiny", resume=base)
    assert "steps | 3" in (folder / "README.md").read_text()
    kept, again = (load_file(path / "model.safetensors") for path in (base, folder))
    # balanced anew each time, in half precision: but for that the same
    assert all(torch.allclose(kept[name], again[name], rtol=0.02, atol=2e-3) for name in kept), (
        "a rate term that knows nothing shaped the latents"
    )
    first = lit.train(clips, tmp_path / "lit", steps=1, preset="tiny", tokenizer=base)
    shutil.rmtree(first / "checkpoints")
    second = lit.train(clips, tmp_path / "on", steps=1, preset="tiny", tokenizer=base, resume=first)
    assert "steps | 2" in (second / "README.md").read_text()
    with pytest.raises(UsageError, match="shape"):
        lit.train(clips, tmp_path / "other", steps=1, preset="tiny", tokenizer=base, resume=base)


def test_the_decoder_alone_leaves_the_encoder_as_it_is(clips: Path, trained: Path, tmp_path: Path) -> None:
    """Files, priors and LITs of the tokenizer stay valid only if its latents do."""
    folder = decoder.train(clips, tmp_path / "dec", steps=2, preset="tiny", tokenizer=trained)
    before, after = (load_file(path / "model.safetensors") for path in (trained, folder))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all(name.startswith("decoder.") for name in changed)
    assert load_tokenizer(folder).config == load_tokenizer(trained).config
    known = [training_facts(path / "model.safetensors")["balance"] for path in (trained, folder)]
    assert known[0] == known[1], "who goes on from it must know in which units the latents are"


@pytest.mark.parametrize("budget", [{}, {"minutes": 1.0, "steps": 1}, {"steps": 0}, {"minutes": 0.0}])
def test_a_budget_is_minutes_or_steps_and_more_than_zero(clips: Path, tmp_path: Path, budget: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        tokenizer.train(clips, tmp_path / "out", preset="tiny", **budget)  # type: ignore[arg-type]


def test_an_unknown_preset_or_checkpoint_is_refused(clips: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        tokenizer.train(clips, tmp_path / "out", steps=1, preset="huge")
    with pytest.raises(UsageError):
        tokenizer.train(clips, tmp_path / "out", steps=1, preset="tiny", resume=tmp_path / "nothing")


def test_the_start_is_a_working_transform_codec(clips: Path) -> None:
    """Before the first step the network adds nothing, and the principal components alone must reconstruct well."""
    found = load_clips(clips, 8, 64)
    model = tokenizer.Tokenizer(tokenizer.PRESETS["tiny"].config)
    start_from_components(model, found, seed=0, crops=20)
    pixels = to_rgb(random_crop(found, 0, 1, 1, 8, 64)[None])
    with torch.no_grad():
        decoded, _ = model.decode(model.encode(pixels)[0])
    assert (decoded - pixels).square().mean() < 0.5 * pixels.var()


def test_laplace_bits_add_up_to_one_probability() -> None:
    values = torch.arange(-400, 401, dtype=torch.float64)
    for scale in (0.2, 1.0, 7.0):
        bits = laplace_bits(values, torch.full_like(values, 0.3), torch.full_like(values, scale))
        assert torch.exp2(-bits).sum() == pytest.approx(1.0, abs=2e-2)


def test_laplace_bits_have_a_slope_everywhere() -> None:
    values = torch.linspace(-12, 12, 97, requires_grad=True)
    laplace_bits(values, torch.zeros(97), torch.full((97,), 1.0)).sum().backward()
    assert (values.grad[values.abs() > 0.1].abs() > 0.05).all()


def test_orthogonalised_matrices_have_singular_values_near_one() -> None:
    matrix = torch.randn(40, 90, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalise(matrix))
    assert values.min() > 0.5
    assert values.max() < 1.4
