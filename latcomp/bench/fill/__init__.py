"""Fills of dropped positions compared at the same masks."""
