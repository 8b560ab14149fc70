"""Measuring: quality metrics, rate-distortion against other codecs, and speed."""
