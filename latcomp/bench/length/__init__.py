"""Memory and speed over hours of video."""
