"""Encoder and decoder: the only place that sees video, tokenizer, selection, LIT and container together."""

from latcomp.codec.decode import DecodeResult, decode, decode_frames
from latcomp.codec.encode import EncodeResult, encode
from latcomp.codec.settings import Progress
from latcomp.latfile import LatFile, open_lat

__all__ = ["DecodeResult", "EncodeResult", "LatFile", "Progress", "decode", "decode_frames", "encode", "open_lat"]
