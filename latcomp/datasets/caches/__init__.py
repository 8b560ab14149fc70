"""Caches of latents that trainers keep, to .lat files and back: `import_cache` and `export_cache`.

Nothing is imported before it is used: neither torch, which only files of torch.save need, nor numpy."""
