"""Frames per second of encode and decode, shares of the stages, memory and multiply-adds."""
