"""Protects: a model that is loaded is what its file says, and nothing is drawn for it first."""

from __future__ import annotations

import torch
from safetensors.torch import load_file

from latcomp.models import WEIGHTS, find_lit, find_tokenizer, load_lit, load_tokenizer


def test_loading_draws_no_weights() -> None:
    """Weights that are read next need no first values, and whoever set a seed finds its numbers untouched."""
    folder = find_tokenizer(None)
    lit = find_lit(folder)
    assert lit is not None
    torch.manual_seed(1)
    before = torch.get_rng_state()
    for place, model in ((folder, load_tokenizer(folder)), (lit, load_lit(lit))):
        found, written = model.state_dict(), load_file(place / WEIGHTS)
        assert found.keys() == written.keys()
        assert all(torch.equal(found[name], values) for name, values in written.items())
    assert torch.equal(torch.get_rng_state(), before)
