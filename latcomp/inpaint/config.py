"""The configuration of a LIT, saved beside the weights it shaped, and the work that follows from it. No torch."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

WINDOW = 8  # positions a side
CONTEXT = 2  # latent frames of C_fill
GROUP = 8  # latent frames the temporal positions are made for
EXTRA = 6  # inputs beside latents: mask, age, time to the next keep, is there one, step, is it context


@dataclass(frozen=True)
class LitConfig:
    """Everything that shapes a LIT, apart from its weights."""

    name: str = "lit"
    channels: int = 48
    """Latent channels of the tokenizer it was trained for."""
    width: int = 96
    layers: int = 3
    heads: int = 3
    expansion: int = 3
    """Hidden width of the MLP over `width`."""
    tokenizer_sha256: str = ""
    """The tokenizer whose latents it fills; another one's would be noise to it."""
    latent_scale: tuple[float, ...] = ()
    """Typical size of each channel: inputs and outputs are divided by it."""
    gated: bool = False
    """Whether each position's correction is multiplied by the LIT's own estimate of how far it can be trusted."""
    told_halvings: bool = False
    """Whether it sees how many times the step behind each held value was halved."""

    @property
    def inputs(self) -> int:
        """Numbers it sees of a position of a latent frame."""
        return 2 * self.channels + EXTRA + self.told_halvings

    def save(self, path: Path) -> None:
        """Write the configuration as JSON to `path`."""
        path.write_text(json.dumps({"kind": "lit", **asdict(self)}, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> LitConfig:
        """Read a configuration back; raises `KeyError`/`TypeError` on unknown or missing fields."""
        fields = json.loads(path.read_text(encoding="utf-8"))
        fields.pop("kind", None)
        fields["latent_scale"] = tuple(fields["latent_scale"])
        return cls(**fields)


def lit_macs_per_token(config: LitConfig) -> float:
    """Multiply-adds per position of a latent frame, in a group with full context, counted from the shapes."""
    width = config.width
    steps = (GROUP + CONTEXT) / GROUP  # context latent frames run through the layers as well
    attention = 2 * WINDOW * WINDOW * width + 2 * (GROUP + CONTEXT) * width
    layer = 9 * width + 8 * width * width + 2 * config.expansion * width * width + attention
    ends = config.inputs * width + width * (config.channels + config.gated)
    return steps * (config.layers * layer) + steps * ends
