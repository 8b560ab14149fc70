"""The weights of ST-LPIPS, out of the package that ships them: found, checked and read, without running its code."""

from __future__ import annotations

import hashlib
import importlib.util
import io
from pathlib import Path
from typing import TYPE_CHECKING

from latcomp.errors import UsageError

if TYPE_CHECKING:
    import torch

PACKAGE = "stlpips_pytorch"
PLACE = Path("weights") / "vST0.0" / "alex_shift_tolerant.pth"
SHA256 = "b356b382f96010f77d085ee8343ecd9fd322d0a56e8de2b2d0549fafcad8b9ee"
"""Of the file in stlpips-pytorch 0.0.2."""


def weights_file() -> Path:
    """The file in the installed package. Raises `UsageError`, with how to get it, when it is not there."""
    found = importlib.util.find_spec(PACKAGE)
    for folder in (found.submodule_search_locations or ()) if found else ():
        if (Path(folder) / PLACE).is_file():
            return Path(folder) / PLACE
    raise UsageError("st-lpips needs the weights of stlpips-pytorch 0.0.2: pip install 'latcomp[metrics]'")


def load_weights() -> dict[str, torch.Tensor]:
    """Tensors by name, fp32 on the CPU. Raises `UsageError` when the file is missing or another one than is known."""
    import torch

    path = weights_file()
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise UsageError(
            f"{path} is not the file of stlpips-pytorch 0.0.2: uninstall it, then pip install 'latcomp[metrics]'"
        )
    found: dict[str, torch.Tensor] = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    return found
