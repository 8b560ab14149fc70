"""The Latent Inpainting Transformer (LIT) and the streaming fill of dropped positions."""
