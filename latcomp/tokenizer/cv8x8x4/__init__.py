"""Our causal tokenizer of 8x8 pixels and 4 frames: `config` (no torch), `model` and its `exact` convolutions."""
