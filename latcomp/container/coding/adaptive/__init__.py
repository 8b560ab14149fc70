"""Coding without a prior that learns as it goes: predictions and tables follow what was coded before in the segment."""
