"""latcomp turns a video into tokens and back.

What the commands do is found here as functions, which are looked up when they are used: `import latcomp` never imports
torch, `check` and `repair` do not either, and what is opened does only for its latents."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from latcomp import datasets
    from latcomp.codec.check import check, repair
    from latcomp.codec.compare import compare
    from latcomp.codec.decode import decode
    from latcomp.codec.decode_latents import decode_latents
    from latcomp.codec.encode import encode
    from latcomp.codec.encode_latents import encode_latents
    from latcomp.codec.export import export
    from latcomp.codec.lat_file import open_lat as open
    from latcomp.datasets.caches.exporting import export_cache
    from latcomp.datasets.caches.importing import import_cache

__version__ = "0.2.0"
__all__ = [
    "__version__",
    "check",
    "compare",
    "datasets",
    "decode",
    "decode_latents",
    "encode",
    "encode_latents",
    "export",
    "export_cache",
    "import_cache",
    "open",
    "repair",
]

_LAZY = {
    "encode": ("codec.encode", "encode"),
    "decode": ("codec.decode", "decode"),
    "encode_latents": ("codec.encode_latents", "encode_latents"),
    "decode_latents": ("codec.decode_latents", "decode_latents"),
    "compare": ("codec.compare", "compare"),
    "export": ("codec.export", "export"),
    "export_cache": ("datasets.caches.exporting", "export_cache"),
    "import_cache": ("datasets.caches.importing", "import_cache"),
    "check": ("codec.check", "check"),
    "repair": ("codec.check", "repair"),
    "open": ("codec.lat_file", "open_lat"),
}  # name here -> where it is


def __getattr__(name: str) -> Any:
    if name == "datasets":
        return import_module("latcomp.datasets")
    if name not in _LAZY:
        raise AttributeError(f"module 'latcomp' has no attribute {name!r}")
    module, there = _LAZY[name]
    value = getattr(import_module(f"latcomp.{module}"), there)
    globals()[name] = value  # the next look-up takes the short way
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY, "datasets"})
