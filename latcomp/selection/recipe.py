"""The constants that selection and quantisation are run with, for encoding and for training alike."""

DROPPED_CHANGES = (
    1.44  # whole steps, summed over channels, that a dropped token may be off by default, chosen on training clips
)
ERROR_WORTH = 3.0  # bits that a squared error of one step squared is worth a latent frame, chosen on training clips
HYSTERESIS = (
    0.15  # share of a step a value must move beyond rounding before its symbol changes, chosen on training clips
)
ROUNDING = 0.5  # values further than this from zero or an integer round up: a dead zone, chosen on training clips
ROUNDING_WORTH = 20.0  # the same, for rounding by rate and distortion, chosen on training clips; 0 rounds plainly
PRIOR_UNITS = 4  # units a step where a prior codes the tokens: steps can be halved twice
