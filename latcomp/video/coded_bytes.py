"""How large the coded pictures of a video are."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import av

from latcomp.errors import NotAVideoError
from latcomp.video.choice import choose_video
from latcomp.video.streams import reason_of


def coded_bytes(source: str | Path | BinaryIO, label: str) -> int:
    """Return the bytes of a video's coded pictures, without its container and audio. Raises NotAVideoError.

    source: a path or a seekable file, read from its beginning; label: what messages call it.
    """
    try:
        with av.open(source, "r") as container:
            return sum(packet.size for packet in container.demux(choose_video(container, label)))
    except (av.FFmpegError, ValueError) as error:
        raise NotAVideoError(f"{label}: cannot be read as video: {reason_of(error)}") from None
