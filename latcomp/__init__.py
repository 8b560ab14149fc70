"""latcomp turns a video into tokens and back."""

__version__ = "0.1.0"
