"""Distances between pictures, videos and rate-distortion curves. numpy; what runs FFmpeg or torch is imported when
it is asked for.
"""
