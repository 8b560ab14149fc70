"""A decoder of .lat members for Megatron Energon. Needs the package megatron-energon, which this module imports."""

from __future__ import annotations

from typing import Any

from latcomp.datasets.handler import LatHandler
from latcomp.errors import UsageError

try:
    from megatron.energon import SampleDecoder
except ImportError as error:
    raise UsageError(
        f"LatSampleDecoder needs the package megatron-energon ({error}): pip install megatron-energon"
    ) from None


class LatSampleDecoder(SampleDecoder):  # type: ignore[misc,unused-ignore]
    """Energon's `SampleDecoder`, which makes items of .lat members too, as `LatHandler` does.

    For the class variable of a `TaskEncoder`: `decoder = LatSampleDecoder(LatHandler(latent_frames=16))`."""

    def __init__(self, handler: LatHandler | None = None, **others: Any) -> None:
        """others: what `SampleDecoder` takes, for images, video and audio."""
        super().__init__(**others)
        self._lat = LatHandler() if handler is None else handler
        self._decoder.handlers.insert(0, self._lat)

    def config(self) -> dict[str, Any]:
        """What a saved state is compared by: the decoder's settings, and the handler's."""
        return {**super().config(), "lat": repr(self._lat)}
