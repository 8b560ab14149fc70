"""Latents for training: caches of latents to .lat files and back."""
