"""Training of the tokenizer, its decoder alone, the LIT and the prior: the same code on CPU and CUDA. Needs no PyAV for
decoded clips.
"""
