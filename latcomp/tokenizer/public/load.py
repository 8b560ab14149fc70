"""Published tokenizers from their files: weights read safely, networks built, one line where something does not fit."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from latcomp.errors import UsageError
from latcomp.tokenizer.public import diffusers_vae, stream_vae
from latcomp.tokenizer.public.sources import PREFIX, Source
from latcomp.tokenizer.public.vae import Vae
from latcomp.tokenizer.public.wan_names import diffusers_name

EXTRA = "pip install 'latcomp[diffusers]'"
_RECIPES = {
    "wan": stream_vae.WanVae,
    "qwen": stream_vae.QwenVae,
    "cogvideox": stream_vae.CogVae,
    "kvae": stream_vae.KvaeVae,
    "kandinsky6sr": stream_vae.Kandinsky6SrVae,
    "window": diffusers_vae.WindowVae,
    "hunyuan": diffusers_vae.HunyuanVae,
    "magvit": diffusers_vae.MagvitVae,
    "ltx": diffusers_vae.LtxVae,
    "vidtok": diffusers_vae.VidTokVae,
    "minimaxh3": diffusers_vae.MiniMaxVae,
}


def load_vae(source: Source) -> Vae:
    """The autoencoder of a source, in fp32 on the CPU, frozen. Raises `UnsupportedFileError` for a class that cannot be
    used, `UsageError` for files that do not fit together, weights that are no numbers, and where diffusers is missing.
    """
    recipe = source.public_class.recipe
    vae: Vae
    if recipe == "jit":
        from latcomp.tokenizer.public.jit import JitVae

        return JitVae(source.place).eval().requires_grad_(False)
    weights = read_weights(source.weights)
    _refuse_no_numbers(source, weights)
    if recipe == "taehv":
        from latcomp.tokenizer.public.taehv import TaehvVae

        vae = TaehvVae({name.removeprefix(PREFIX): values for name, values in weights.items()})
    else:
        vae = _RECIPES[recipe](_diffusers_module(source, weights))
    vae.use(torch.float32)
    return vae.eval().requires_grad_(False)


def read_weights(files: tuple[Path, ...]) -> dict[str, Tensor]:
    """All tensors of some files by name; of pickles, nothing but tensors is unpickled. Raises `UsageError` for files
    that cannot be read so."""
    found: dict[str, Tensor] = {}
    for file in files:
        try:
            if file.suffix == ".safetensors":
                found |= load_file(file)
            else:
                found |= _tensors(torch.load(file, map_location="cpu", weights_only=True))
        except (OSError, SafetensorError, RuntimeError, ValueError, TypeError) as error:
            raise UsageError(f"{file} cannot be read: {_line(error)}") from None
        except Exception:  # what unpickling refuses, in many words
            raise UsageError(
                f"{file} holds more than weights, or is damaged: only tensors are read, and nothing was run"
            ) from None
    return found


def _tensors(found: Any) -> dict[str, Tensor]:
    for member in ("state_dict", "model", "module"):
        if isinstance(found, Mapping) and isinstance(found.get(member), Mapping):
            found = found[member]
    if not isinstance(found, Mapping):
        raise TypeError("it holds no weights by name")
    return {name: values for name, values in found.items() if isinstance(values, Tensor)}


def _refuse_no_numbers(source: Source, weights: Mapping[str, Tensor]) -> None:
    for name, values in weights.items():
        if values.is_floating_point() and not torch.isfinite(values).all():
            raise UsageError(f"{source.place} is damaged: the weights {name} hold values that are no numbers")


def _diffusers_module(source: Source, weights: dict[str, Tensor]) -> Any:
    """The module of diffusers with a source's weights."""
    config = {key: value for key, value in source.config.items() if not key.startswith("_")}
    if source.names == "wan":
        weights = {diffusers_name(name.removeprefix(PREFIX)): values for name, values in weights.items()}
        config = _wan_widths(config, weights)
    elif source.names == "ltx":
        weights = _ltx_weights(weights)
    _refuse_misfits(source, _outline(source, config), weights)
    with _quiet():
        module = _built(source, config)
    _refuse_misfits(source, module, weights)
    module.load_state_dict(weights)
    return module


def _outline(source: Source, config: dict[str, Any]) -> Any:
    """The module without its numbers, so that a configuration that lies takes no memory: it is held against the weights
    before anything is allocated. None where a class cannot be built so."""
    try:
        with _quiet(), torch.device("meta"):
            return _built(source, config)
    except UsageError:
        return None  # it is built in earnest next, and what is wrong then is said


def _refuse_misfits(source: Source, module: Any, weights: Mapping[str, Tensor]) -> None:
    missing, unknown, other = ([], [], []) if module is None else _differences(module, weights)
    if missing or unknown or other:
        what = [
            f"{len(names)} weights {word} ({names[0]}, ...)"
            for names, word in ((missing, "are missing"), (unknown, "are not known"), (other, "have another shape"))
            if names
        ]
        raise UsageError(f"{source.place}: the configuration does not fit the weights: {'; '.join(what)}")


def _built(source: Source, config: dict[str, Any]) -> Any:
    kind = diffusers_class(source.class_name)
    try:
        return kind.from_config(config)
    except Exception as error:  # the class does not check what it is given, and may trip over it anywhere
        raise UsageError(f"{source.place}: diffusers makes nothing of the configuration: {_line(error)}") from None


def diffusers_class(name: str) -> Any:
    """A class of diffusers. Raises `UsageError` where diffusers is missing, too old, or cannot be imported."""
    try:
        with _quiet():
            diffusers: Any = import_module("diffusers")
            found = getattr(diffusers, name, None)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != "diffusers":
            raise UsageError(f"diffusers cannot be imported: {_line(error)}: {EXTRA}") from None
        raise UsageError(f"this tokenizer needs diffusers, which is not installed: {EXTRA}") from None
    except (ImportError, RuntimeError, OSError, AttributeError) as error:
        advice = "install diffusers again"
        if "torchvision" in str(error):
            advice = "the torchvision that is installed does not match torch: install the one that does, or remove it"
        raise UsageError(f"diffusers cannot be imported: {advice} ({_line(error)})") from None
    if found is None:
        version = getattr(diffusers, "__version__", "?")
        raise UsageError(f"diffusers {version} has no {name}: a newer one is needed ({EXTRA} -U)")
    return found


def _differences(module: Any, weights: Mapping[str, Tensor]) -> tuple[list[str], list[str], list[str]]:
    """(names that the weights miss, that the module does not know, whose shapes differ)."""
    own = module.state_dict()
    missing = [name for name in own if name not in weights]
    unknown = [name for name in weights if name not in own]
    other = [name for name in own if name in weights and own[name].shape != weights[name].shape]
    return missing, unknown, other


def _wan_widths(config: dict[str, Any], weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """The configuration of a single file with the widths of its weights: there are narrower ones than the first."""
    try:
        widths = {
            "base_dim": weights["encoder.conv_in.weight"].shape[0],
            "decoder_base_dim": weights["decoder.conv_in.weight"].shape[0] // config["dim_mult"][-1],
            "z_dim": weights["post_quant_conv.weight"].shape[0],
        }
    except KeyError as error:
        raise UsageError(f"the weights are not those of a Wan autoencoder: {error} is missing") from None
    channels = widths["z_dim"]
    if channels != len(config["latents_mean"]):  # the published statistics are of another space
        return {**config, **widths, "latents_mean": [0.0] * channels, "latents_std": [1.0] * channels}
    return {**config, **widths}


def _ltx_weights(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """An LTX autoencoder's own weights as diffusers names them."""
    if not any(name.startswith(PREFIX) for name in weights):
        weights = {PREFIX + name: values for name, values in weights.items()}
    diffusers_class("AutoencoderKLLTXVideo")
    names: Any = import_module("diffusers.loaders.single_file_utils")
    found: dict[str, Tensor] = names.convert_ltx_vae_checkpoint_to_diffusers(
        {name: values for name, values in weights.items() if name.startswith(PREFIX)}
    )
    return {name: values for name, values in found.items() if name != "decoder.timestep_scale_multiplier"}


@contextmanager
def _quiet() -> Iterator[None]:
    """Inside, diffusers says nothing of what it does not know in a configuration."""
    logger = logging.getLogger("diffusers")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


def _line(error: BaseException) -> str:
    """The first line of an error."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
