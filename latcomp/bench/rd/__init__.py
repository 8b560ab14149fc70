"""Rate and distortion of latcomp and other codecs over clips, BD-rates between them, and their plots."""
