"""What a command does, as functions: encode, decode, compare, export, check and repair.

The only place that sees video, tokenizer, selection, LIT and container together. Nothing is imported here, so that
settings and what reads a file's bytes alone come without torch."""
