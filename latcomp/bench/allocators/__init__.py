"""Ways to choose which tokens are kept, compared on one tokenizer, LIT and decoder."""
