"""The container and the report's figures need neither torch nor a video library, and the range coder only where a prior
is used.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HEAVY = {"torch", "av", "constriction", "matplotlib"}


def loaded(code: str) -> list[str]:
    """Which heavy packages are loaded after some lines of code, in a fresh interpreter."""
    code += f"\nimport sys; print(*sorted({HEAVY!r} & set(sys.modules)))"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()


def test_no_torch_and_no_video_library() -> None:
    """Importing the container and the stats loads neither torch nor PyAV, nor the range coder."""
    assert loaded("import latcomp.container, latcomp.report.stats") == []


USE = """
import io
from latcomp.container import check, scan
from tests.container.make import groups, in_units, prior, reader_under, sized, under, written
of = sized(5, 7, 6)
by = prior()
"""


def test_the_range_coder_only_under_a_prior() -> None:
    """Files without a prior are written and read without the range coder; so is a prior loaded, and any file scanned
    and opened.
    """
    plain = "data = written(of, groups(of, 2)); assert check(io.BytesIO(data)) == []"
    assert loaded(USE + plain) == []
    coded = "of = under(of, by); data = written(of, in_units(of, groups(of, 2)), prior=by)"
    assert loaded(USE + coded) == ["constriction"]
    opened = "import sys; del sys.modules['constriction']; reader_under(data, by); scan(io.BytesIO(data))"
    assert loaded(USE + coded + "; " + opened) == []


def test_only_video_and_what_calls_it_needs_the_video_library() -> None:
    """Every module of the other rooms can be imported where PyAV is missing: a training on decoded clips needs none."""
    import latcomp

    package = Path(latcomp.__file__).parent
    calls_video = {"video", "codec", "batch", "bench"}
    names = [
        ".".join(["latcomp", *path.relative_to(package).with_suffix("").parts]).removesuffix(".__init__")
        for path in sorted(package.rglob("*.py"))
        if path.relative_to(package).parts[0] not in calls_video
        and path.name not in ("__main__.py", "compare_video.py", "energon.py")  # the last is a class of that package's
        and path.name not in ("filters.py", "vmaf.py", "xpsnr.py")  # metrics by FFmpeg
    ]
    assert len(names) > 90
    head = "import sys; sys.modules['av'] = None\nfrom importlib import import_module"
    code = f"{head}\nfor name in {names!r}: import_module(name)"
    subprocess.run([sys.executable, "-c", code], check=True)
