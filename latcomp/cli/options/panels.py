"""Headings under which --help lists options."""

QUALITY = "Quality"
PART = "Part of the video"
OUTPUT = "Output"
DEVICE = "Device and limits"
