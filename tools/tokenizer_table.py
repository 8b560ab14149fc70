"""A table of the published tokenizers: each class with small random weights, through the codec at many frame counts.

    python -m tools.tokenizer_table [--counts 1,5,17,22] [--few 1,5,17,22] [--json OUT.json] [NAME...]

`--counts` go through the networks as groups do, at one size and with exact latents: number of frames. `--few` are whole
files, from a video of irregular times to what a reader of the file gives, at four more sizes, one of them narrower than
a token: number, size and times of the frames.

The peak of memory is that of the whole process, with torch and diffusers in it (about 450 MB), while a class runs.
Structure (frame rules, causality, streaming) is that of the class; sizes, times and steps are those of the small
weights."""

from __future__ import annotations

import argparse
import io
import json
import tempfile
import time
from pathlib import Path
from typing import Any

CLEAR_PEAK = Path("/proc/self/clear_refs")
FRAMES = ("frames", "ok", "at four sizes", "ok")
COLUMNS = ("name", "class", "from", *FRAMES, "latents", "streams", "still after", "looks ahead", "s", "MB")


def sizes(spatial: int) -> list[tuple[int, int]]:
    """(width, height) of the four sizes, for positions of so many pixels a side."""
    return [
        (2 * spatial, spatial),
        (spatial - 3, 2 * spatial - 5),
        (spatial + 1, 2 * spatial - 1),
        (3 * spatial - 2, spatial + 2),
    ]


def round_trips(path: Path, spatial: int, counts: list[int], folder: Path) -> list[bool]:
    """Whether a video comes back whole through a file, of each size and number of frames."""
    from fractions import Fraction

    from latcomp.codec.decoder import Decoder
    from latcomp.codec.encode import Encoder
    from latcomp.codec.settings import EncodeSettings
    from latcomp.container import Group, Reader
    from latcomp.video import open_video
    from tests.video import make

    encoder, good = Encoder(EncodeSettings(), path, "cpu"), []
    for width, height in sizes(spatial):
        for count in counts:
            clip, times = folder / "clip.mkv", [40 * number + 7 * (number % 3) for number in range(count)]
            pictures = make.pictures(count, width, height)
            make.write(clip, pictures, codec="ffv1", pixel_format="bgr0", pts=times, time_base=Fraction(1, 1000))
            target = io.BytesIO()
            with open_video(clip) as source:
                encoder.run(source, target)
            target.seek(0)
            reader = Reader(target)
            decoder = Decoder(reader.header, "cpu", tokenizer=path)
            groups = [item for item in reader if isinstance(item, Group)]
            shown = [frame.shape for group in groups for frame in decoder.frames(group)]
            found = [time for group in groups for time in group.pts]
            good.append(shown == [(height, width, 3)] * count and found == times)  # in ms, as the source has them
    return good


def measured(name: str, counts: list[int], few: list[int]) -> dict[str, Any]:
    """What running one class shows, as an object of the table."""
    import torch

    from latcomp import models
    from tests.tokenizer.test_public import EXPECTED, Case, made
    from tests.video import make

    torch.set_num_threads(1)
    CLEAR_PEAK.write_text("5")
    with tempfile.TemporaryDirectory() as folder:
        path = made(name, Path(folder) / "vae")
        place = models.find_tokenizer(path)
        before = time.process_time()
        case = Case(name, path, models.load_tokenizer(place))
        probe, source = models.probe_of(place), models.published(place)
        spec, expected = probe.spec, EXPECTED[name]
        probed = time.process_time() - before
        with torch.inference_mode():
            good = [
                len(case.coded(make.pictures(count, spec.spatial + 3, 2 * spec.spatial - 5))[0]) == count
                for count in counts
            ]
        whole = round_trips(path, spec.spatial, few, Path(folder)) if few else []
    found = (spec.channels, spec.spatial, spec.temporal, spec.exact_streaming, spec.chunk)
    wanted = (expected.channels, expected.spatial, expected.temporal, expected.streams, expected.chunk)
    return {
        "name": name,
        "class": source.class_name if source else "",
        "from": "file" if path.is_file() else "two jits" if "Script" in name else "folder",
        "counts": counts,
        "ok": sum(good),
        "sizes": [list(size) for size in sizes(spec.spatial)] if few else [],
        "counts_of_sizes": few,
        "whole": sum(whole),
        "spec": found,
        "as_expected": found == wanted and (spec.transient == 0) is expected.settles,
        "streaming_error": probe.streaming,
        "transient": spec.transient,
        "leak": probe.leak,
        "still_steps": probe.still_steps,
        "probe_cpu_seconds": round(probed, 1),
        "cpu_seconds": round(time.process_time() - before, 1),
        "peak_megabytes": _peak_megabytes(),
    }


def _peak_megabytes() -> int:
    """Most memory that this process held since it was last cleared; Linux only."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) // 1024


def row(found: dict[str, Any]) -> tuple[str, ...]:
    """The columns of a measured class in words."""
    channels, spatial, temporal, streams, chunk = found["spec"]
    return (
        found["name"],
        found["class"],
        found["from"],
        _short(found["counts"]),
        f"{found['ok']}{'' if found['as_expected'] else ', another spec than expected'}",
        _short(found["counts_of_sizes"]),
        f"{found['whole']}",
        f"{channels} x {spatial}x{spatial}x{temporal}" + (f" by {chunk}" if chunk > 1 else ""),
        f"exact, {found['streaming_error']:.0e}" if streams else "no",
        str(found["transient"]),
        f"{100 * found['leak']:.2g} %" if found["leak"] > 1e-5 else "no",
        f"{found['cpu_seconds']:g}",
        str(found["peak_megabytes"]),
    )


def _short(counts: list[int]) -> str:
    """1-40 of all numbers from 1 to 40."""
    return f"1-{len(counts)}" if counts == list(range(1, len(counts) + 1)) else ",".join(map(str, counts))


def _numbers(text: str) -> list[int]:
    """The numbers of 1,5,17 or of 1-40."""
    first, _, last = text.partition("-")
    if not text:
        return []
    return list(range(int(first), int(last) + 1)) if last else [int(number) for number in text.split(",")]


def main() -> int:
    """Measure and print; 1 when a class does not give back what went in."""
    from tests.tokenizer.test_public import EXPECTED

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--counts", default="1,5,17,22", help="frame counts: numbers, or 1-40")
    parser.add_argument("--few", default="", help="frame counts of whole files at four more sizes")
    parser.add_argument("--json", type=Path, help="file of the measurements, kept beside those of others")
    given = parser.parse_args()
    rows = []
    print(" | ".join(COLUMNS), "-|-".join("-" * len(column) for column in COLUMNS), sep="\n")
    for name in given.names or EXPECTED:
        rows.append(measured(name, _numbers(given.counts), _numbers(given.few)))
        print(" | ".join(row(rows[-1])), flush=True)
        if given.json is not None:
            _keep(given.json, rows[-1])
    return int(any(not _right(each) for each in rows))


def _right(row: dict[str, Any]) -> bool:
    """Whether a class gave back all that went in, and is what it should be."""
    whole = len(row["sizes"]) * len(row["counts_of_sizes"])
    return row["as_expected"] and row["ok"] == len(row["counts"]) and row["whole"] == whole


def _keep(path: Path, row: dict[str, Any]) -> None:
    """Put a class into a file of measurements, in the place of what it has of it."""
    known = json.loads(path.read_text(encoding="utf-8"))["tokenizers"] if path.exists() else []
    merged = {each["name"]: each for each in [*known, row]}
    path.write_text(json.dumps({"tokenizers": list(merged.values())}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(main())
