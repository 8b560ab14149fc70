"""The signal between tokenizer and file: positions, steps, symbols, and what a segment remembers of them. Arrays alone:
numpy, no torch.

Every room below `codec` may look in here; this room looks into none of them.
"""

from latcomp.latents.grid import frames_of_tokens
from latcomp.latents.held import HeldGroup, hold
from latcomp.latents.memory import TokenMemory
from latcomp.latents.prediction import HOLD, Hold, Prediction
from latcomp.latents.quantiser import SYMBOL_MAX, SYMBOL_MIN, LosslessQuantiser, Quantiser
from latcomp.latents.step_scale import ADJUST_MAX, ADJUST_MIN, ADJUST_PER_OCTAVE, StepScale, log_step_of
from latcomp.latents.world import Box, FrameView, GroupView, Offset

__all__ = [
    "ADJUST_MAX",
    "ADJUST_MIN",
    "ADJUST_PER_OCTAVE",
    "HOLD",
    "SYMBOL_MAX",
    "SYMBOL_MIN",
    "Box",
    "FrameView",
    "GroupView",
    "HeldGroup",
    "Hold",
    "LosslessQuantiser",
    "Offset",
    "Prediction",
    "Quantiser",
    "StepScale",
    "TokenMemory",
    "frames_of_tokens",
    "hold",
    "log_step_of",
]
