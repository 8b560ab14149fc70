"""Models from their folders: checked, built, frozen."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from latcomp.devices import device_failure
from latcomp.errors import UsageError
from latcomp.models.folders import CONFIG, WEIGHTS, config_of, is_complete
from latcomp.models.identity import fingerprint_of
from latcomp.models.integrity import checked_weights, sha256_of
from latcomp.models.public import load_published, published
from latcomp.models.registry import beside, find_model

if TYPE_CHECKING:
    from torch import nn

    from latcomp.container.coding.prior.network import Prior
    from latcomp.inpaint.model import Lit
    from latcomp.kernels import Kernels
    from latcomp.tokenizer.base import VideoTokenizer

    Network = TypeVar("Network", bound=nn.Module)


def load_tokenizer(folder: Path) -> VideoTokenizer:
    """The frozen tokenizer of a folder or file, in evaluation mode on the CPU. Raises `UsageError` when the files do
    not fit together, `UnsupportedFileError` for an architecture that is not known, or cannot be used.
    """
    from latcomp.tokenizer.architectures import architecture_of  # what it needs imports numpy

    source = None if is_complete(folder) else published(folder)
    if source is not None:
        return load_published(source, fingerprint_of(folder))

    def build() -> Any:
        config = config_of(folder)
        return architecture_of(config).build(config)

    tokenizer: VideoTokenizer = load_module(folder, "tokenizer", build)
    return tokenizer


def load_lit(folder: Path) -> Lit:
    """The frozen LIT of a folder, in evaluation mode on the CPU. Raises `UsageError` when the files do not fit
    together.
    """
    import torch

    from latcomp.inpaint.config import LitConfig
    from latcomp.inpaint.model import Lit

    lit = load_module(folder, "LIT", lambda: Lit(LitConfig.load(folder / CONFIG)))
    return lit.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


@lru_cache(maxsize=4)
def load_prior(folder: Path, kernels: Kernels | None = None) -> Prior:
    """The prior of a folder; needs no torch unless the kernels do. Raises `UsageError` when the files do not fit
    together.

    kernels: what multiplies, None: numpy; `latcomp.kernels.fastest` finds them where torch is at hand anyway."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    from latcomp.container.coding.prior.network import Prior
    from latcomp.kernels import FLOATS

    chosen = FLOATS if kernels is None else kernels
    try:
        weights = load(checked_weights(folder))
        return Prior(weights, sha256_of(folder / WEIGHTS), config_of(folder)["name"], fingerprint_of(folder), chosen)
    except (OSError, KeyError, ValueError, SafetensorError) as error:
        raise UsageError(f"{folder} does not hold a prior of this version: {error}") from None


def prior_finder(
    tokenizer: str | Path | None = None, kernels: Callable[[], Kernels | None] = lambda: None
) -> Callable[[str, str], Prior]:
    """What a `latcomp.container.Reader` asks for the prior of a file: looked for among the shipped models and beside
    `tokenizer`. kernels: finds what the prior multiplies with, once a prior is asked for.
    """

    def find(name: str, sha256: str) -> Prior:
        return load_prior(find_model({"name": name, "sha256": sha256}, "prior", beside(tokenizer, "prior")), kernels())

    return find


def load_module(folder: Path, kind: str, build: Callable[[], Network]) -> Network:
    """The model that `build` makes of the folder's configuration, with the folder's weights, frozen. kind: for
    messages.

    Raises `UsageError` when the files do not fit together, `UnsupportedFileError` when they are not what they were.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        with _without_first_values():
            model = build()
        model.load_state_dict(load(checked_weights(folder)))
    except (OSError, KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
        if device_failure(error) is not None:
            raise
        raise UsageError(f"{folder} does not hold a {kind} of this version: {str(error).splitlines()[0]}") from None
    model.eval().requires_grad_(False)
    return model


def _without_first_values() -> AbstractContextManager[Any]:
    """Layers that are built inside keep what their memory holds in the place of random weights: all of it is read from
    a file next, and drawing it takes as long as reading.
    """
    from torch.overrides import TorchFunctionMode

    class WithoutFirstValues(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            named = kwargs or {}
            if getattr(func, "__module__", None) == "torch.nn.init" and "tensor" in named:
                return named["tensor"]
            return func(*args, **named)

    return WithoutFirstValues()
