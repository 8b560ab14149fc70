"""Protects exact integer arithmetic on a GPU: the reference's integers, and files that are read alike everywhere."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest

from latcomp.codec.lat_file import open_lat
from latcomp.container.coding import GroupContent, GroupShape, PriorCoder
from latcomp.kernels import FLOATS, Kernels, conforms, fastest
from latcomp.kernels.int_mm import IntMm
from latcomp.latents import StepScale
from latcomp.models import find_prior, find_tokenizer, load_prior

Encoded = Callable[..., bytes]


def test_the_integers_are_the_references(device: str) -> None:
    assert conforms(IntMm(device))
    assert conforms(fastest(device))


@pytest.mark.parametrize("way", ["int8 product", "fastest"])
def test_groups_are_written_and_read_alike(way: str, device: str, encoded: Encoded) -> None:
    """Bytes that one way wrote are those of another, and read back as what they were."""
    folder = find_prior(find_tokenizer(None))
    assert folder is not None
    kernels: list[Kernels] = [FLOATS, IntMm(device) if way == "int8 product" else fastest(device)]
    with open_lat(io.BytesIO(encoded("cpu", keep=0.5)), device="cpu") as lat:
        header, groups = lat.header, list(lat)
    coders = [PriorCoder(load_prior(folder, some), header.grid, header.units) for some in kernels]
    back = PriorCoder(load_prior(folder, kernels[1]), header.grid, header.units)
    for group in groups:
        if group.key and group.first_frame:
            break
        scale = StepScale(header.step_scale, group.step_adjust)
        content = GroupContent(group.mask, group.tokens, group.halvings, group.key, scale, group.view)
        data, other = (coder.encode(content) for coder in coders)
        assert data == other
        found = back.decode(data, GroupShape(group.view, len(group.tokens), group.key, scale))
        assert np.array_equal(found.tokens, group.tokens) and np.array_equal(found.mask, group.mask)
