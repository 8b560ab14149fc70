"""How .lat files become items of a data set. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from latcomp.checks import check_path, check_whole, check_word
from latcomp.codec.places import check_places
from latcomp.codec.settings import check_fill
from latcomp.errors import UsageError
from latcomp.limits import DEFAULT_MAX_PIXELS

DTYPES = ("bfloat16", "float16", "float32")
STARTS = ("any", "segments")


@dataclass(frozen=True)
class ItemSettings:
    """How a file becomes an item. Raises `UsageError` for values that are not known."""

    latent_frames: int | None = None
    """Length of a random stretch; None: whole files."""
    starts: str = "any"
    """Where stretches may begin: at 'any' latent frame, or where 'segments' do, which reads nothing in vain."""
    fill: str = "auto"
    """What dropped positions are filled by: 'lit', 'hold' (no model runs), or 'auto', as the encoder chose."""
    dtype: str = "bfloat16"
    """Of the latents: bfloat16, float16 or float32; a torch.dtype is taken for its name."""
    places: str = "frame"
    """'frame': the frame's own grid; 'world': a part for each group, also where the camera was followed."""
    damaged: str = "error"
    """'error' raises at damage; 'hold' holds the last good latent frame in the place of lost ones."""
    device: str = "cpu"
    """Where the LIT runs; items are on it. Workers of a DataLoader share no GPU by themselves: 'cpu' unless loading in
    the main process."""
    tokenizer: str | None = None
    """Folder of a tokenizer that is not shipped."""
    max_pixels: int = DEFAULT_MAX_PIXELS
    """Largest frame to accept."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "dtype", str(self.dtype).removeprefix("torch."))
        check_word("dtype", self.dtype, DTYPES)
        check_word("starts", self.starts, STARTS)
        check_word("damaged", self.damaged, ("error", "hold"))
        check_fill(self.fill)
        check_places(self.places)
        check_whole("max_pixels", self.max_pixels, 1, "choose 1 pixel or more")
        if self.latent_frames is not None:
            check_whole("latent_frames", self.latent_frames, 1, "choose 1 latent frame or more")
        elif self.starts != "any":
            raise UsageError("starts='segments' needs latent_frames: whole files begin at their beginning")
        if self.tokenizer is not None:
            check_path("tokenizer", self.tokenizer)
            object.__setattr__(self, "tokenizer", str(Path(self.tokenizer)))
