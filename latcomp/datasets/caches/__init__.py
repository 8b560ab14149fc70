"""Caches of latents that trainers keep, to .lat files and back."""
