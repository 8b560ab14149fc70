"""Coding under the learned prior: an integer network, tables of whole frequencies, a range coder."""
