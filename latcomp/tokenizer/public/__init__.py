"""Published video autoencoders behind `VideoTokenizer`: those of diffusers, Cosmos TorchScript and TAEHV.

`classes` says which there are and which cannot work, `vae` and its neighbours call each as it was published, `probe`
runs one to find its specification, and `adapter` is the tokenizer."""
