"""Frozen tokenizers: pixels to latents and back."""
