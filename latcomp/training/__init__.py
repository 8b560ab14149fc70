"""Training of the tokenizer and of the LIT, the same code on CPU and CUDA."""
