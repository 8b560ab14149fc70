"""The bounds that videos and .lat files share."""

DEFAULT_MAX_PIXELS = 8192 * 4320
"""Pixels of one frame that are accepted unless a caller says otherwise: 8K fits."""

SECONDS_MAX = 2**33
"""A time is at most so many seconds from 0, some 270 years: nanoseconds, in which some formats count, still fit into 64
bits.
"""
