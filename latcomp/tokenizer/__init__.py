"""Frozen tokenizers: pixels to latents and back, behind one protocol (`base.VideoTokenizer`)."""
