"""The signal between tokenizer and file: positions, steps, symbols, and what a segment remembers of them. Arrays alone:
numpy, no torch.

Every room below `codec` may look in here; this room looks into none of them.
"""
