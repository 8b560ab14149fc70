"""The bound on pixels that videos and .lat files share."""

DEFAULT_MAX_PIXELS = 8192 * 4320
"""Pixels of one frame that are accepted unless a caller says otherwise: 8K fits."""
