"""The container and the report's figures need neither torch nor a video library."""

from __future__ import annotations

import subprocess
import sys


def test_no_torch_and_no_video_library() -> None:
    """Importing the container and the stats loads neither torch nor PyAV."""
    code = "import sys, latcomp.container, latcomp.report.stats; print(sorted({'torch', 'av'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
