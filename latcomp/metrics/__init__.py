"""Distances between pictures and between rate-distortion curves. numpy; no torch, no video."""
