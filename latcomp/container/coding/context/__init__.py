"""Coding without a prior: integer contexts fitted to each group."""
