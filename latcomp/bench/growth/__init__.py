"""How the time of a frame grows with the length of a clip, the size of its pictures and the share of kept tokens."""
