"""Groups to filled latents, without the tokenizer's network: what a reader of latents needs of a file's models."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from latcomp import models
from latcomp.codec.kept_values import KeptValues
from latcomp.codec.settings import check_fill
from latcomp.container import Group, Header
from latcomp.devices import decodes_in_bf16, memory_errors, pick_device
from latcomp.errors import UsageError
from latcomp.inpaint.fill import Filler
from latcomp.inpaint.model import Lit
from latcomp.latents import StepScale, TokenMemory, hold
from latcomp.latents.steps import Steps
from latcomp.stages import stage
from latcomp.tokenizer.base import DecoderCondition


class FillModels:
    """What filling asks of the models that a header names: the tokenizer's steps, and the LIT, which is loaded when a
    group is filled by it. Latents that were given as such are filled by hold without their tokenizer.

    Raises `UnsupportedFileError` when a model is not at hand, `DamagedFileError` for a header that contradicts them,
    `UsageError` for fill='lit' of a file without a LIT."""

    def __init__(
        self, header: Header, device: str = "auto", fill: str = "auto", tokenizer: str | Path | None = None
    ) -> None:
        check_fill(fill)
        self.fill, self.device = fill, pick_device(device)
        self._header, self._tokenizer = header, tokenizer
        steps = None if header.steps is None else Steps.from_json(header.steps)
        if header.latents is not None and header.lit is None and fill != "lit":
            self.step = np.ones(header.channels, np.float32) if steps is None else steps.step
            """(C,) quantiser steps at step scale 1; unused in lossless files."""
        else:
            own = models.spec_of(self.folder).channel_step
            self.step = np.array(own, np.float32) if steps is None else steps.step
        self.half = decodes_in_bf16(self.device)
        self._lit_folder = None
        if header.lit is not None and fill != "hold":
            self._lit_folder = models.find_model(header.lit, "lit", models.companions(self.folder) / "lit")
        elif fill == "lit":
            raise UsageError(
                "fill='lit': the file was written without a LIT; use fill='auto' or fill='hold'", settings=("fill",)
            )

    @cached_property
    def folder(self) -> Path:
        """The tokenizer's folder, found and held against the header."""
        found = models.find_model(self._header.tokenizer, "tokenizer", models.beside(self._tokenizer, "tokenizer"))
        models.spec_of(found)  # a published tokenizer that nothing is known of is run now
        models.check_header(self._header, found)
        return found

    @cached_property
    def lit(self) -> Lit | None:
        """The LIT on the device; None without one, and where only hold fills."""
        if self._lit_folder is None:
            return None
        with memory_errors(self.device):
            return models.load_lit(self._lit_folder).to(self.device)


class GroupFiller:
    """Fills the groups of a file in order, from a key group on; keeps what one leaves to the next."""

    def __init__(self, header: Header, models: FillModels) -> None:
        self.header, self.models = header, models
        self._filler = Filler(None, models.device, models.half)
        self._values = KeptValues(header, models.step)

    def starts_with(self, group: Group) -> bool:
        """Whether nothing before the group matters to it and to what follows."""
        return self._values.starts_with(group)

    def skip(self, group: Group) -> bool:
        """Take in the next group, whose latents are not wanted, where that is less than filling it: by hold, what
        follows depends on the kept values alone. Gives whether it did."""
        if self.models.fill != "hold" and self.header.lit is not None:
            return False
        memory, tokens, _ = self._begin(group)
        memory.advance_group(group.mask, tokens, group.halvings, group.view)
        return True

    def fill(self, group: Group) -> tuple[Tensor, DecoderCondition | None]:
        """(filled latents (1, C, T, h, w), the quantiser behind them, None for exact ones) of the next group, on the
        device.
        """
        memory, tokens, scale = self._begin(group)
        by = group.fill if self.models.fill == "auto" else self.models.fill
        if by == "lit":
            self._filler.lit = self.models.lit
        with stage("lit"):
            held = hold(memory, tokens, group.mask, group.halvings, group.view)
            filled = self._filler.fill(held, by, scale)
        if self.header.coding == "lossless":
            return filled, None
        halvings = torch.from_numpy(held.halvings).to(self.models.device).unsqueeze(0)
        return filled, DecoderCondition(scale.value, halvings)

    def _begin(self, group: Group) -> tuple[TokenMemory, np.ndarray, StepScale]:
        """What `KeptValues.take` gives; a segment that starts has nothing to go on from."""
        if self.starts_with(group):
            self._filler.reset()
        with stage("lit"):
            return self._values.take(group)
