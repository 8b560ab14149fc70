"""A table of the published tokenizers: each class with small random weights, through the codec at many frame counts.

    python -m tools.tokenizer_table [--frames 40] [--json OUT.json] [NAME...]

Each class runs in a process of its own, so that the peak of memory is its own. Structure (frame rules, causality,
streaming) is that of the class; sizes, times and steps are those of the small weights."""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

COLUMNS = ("name", "class", "from", "frames", "ok", "latents", "streams", "still after", "looks ahead", "s", "MB")


def measured(name: str, most: int) -> dict[str, Any]:
    """What running one class shows, as an object of the table."""
    import torch

    from latcomp import models
    from tests.tokenizer.test_public import EXPECTED, Case, made
    from tests.video import make

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        path = made(name, Path(folder) / "vae")
        place = models.find_tokenizer(path)
        before = time.process_time()
        case = Case(name, path, models.load_tokenizer(place))
        probe, source = models.probe_of(place), models.published(place)
        spec, expected = probe.spec, EXPECTED[name]
        probed = time.process_time() - before
        counts = range(1, most + 1)
        with torch.inference_mode():
            good = [
                len(case.coded(make.pictures(count, spec.spatial + 3, 2 * spec.spatial - 5))[0]) == count
                for count in counts
            ]
    found = (spec.channels, spec.spatial, spec.temporal, spec.exact_streaming, spec.chunk)
    wanted = (expected.channels, expected.spatial, expected.temporal, expected.streams, expected.chunk)
    return {
        "name": name,
        "class": source.class_name if source else "",
        "from": "file" if path.is_file() else "two jits" if "Script" in name else "folder",
        "frames": f"1-{most}",
        "ok": sum(good),
        "spec": found,
        "as_expected": found == wanted and (spec.transient == 0) is expected.settles,
        "streaming_error": probe.streaming,
        "transient": spec.transient,
        "leak": probe.leak,
        "still_steps": probe.still_steps,
        "probe_cpu_seconds": round(probed, 1),
        "cpu_seconds": round(time.process_time() - before, 1),
        "peak_megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def row(found: dict[str, Any]) -> tuple[str, ...]:
    """The columns of a measured class in words."""
    channels, spatial, temporal, streams, chunk = found["spec"]
    return (
        found["name"],
        found["class"],
        found["from"],
        found["frames"],
        f"{found['ok']}{'' if found['as_expected'] else ', another spec than expected'}",
        f"{channels} x {spatial}x{spatial}x{temporal}" + (f" by {chunk}" if chunk > 1 else ""),
        f"exact, {found['streaming_error']:.0e}" if streams else "no",
        str(found["transient"]),
        f"{100 * found['leak']:.1g} %" if found["leak"] > 1e-5 else "no",
        f"{found['cpu_seconds']:g}",
        str(found["peak_megabytes"]),
    )


def main() -> int:
    """Measure and print; 1 when a class does not give back what went in."""
    from tests.tokenizer.test_public import EXPECTED

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--frames", type=int, default=40, help="frame counts from 1 to this one")
    parser.add_argument(
        "--json", type=Path, help="write the measurements to this file, beside those of other classes in it"
    )
    parser.add_argument("--one", action="store_true", help="print one class as JSON, from this process")
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measured(given.names[0], given.frames)))
        return 0
    rows = []
    print(" | ".join(COLUMNS), "-|-".join("-" * len(column) for column in COLUMNS), sep="\n")
    for name in given.names or EXPECTED:
        command = [sys.executable, "-W", "ignore", "-m", "tools.tokenizer_table", "--one", name]
        done = subprocess.run([*command, "--frames", str(given.frames)], stdout=subprocess.PIPE, check=True, text=True)
        rows.append(json.loads(done.stdout.splitlines()[-1]))
        print(" | ".join(row(rows[-1])), flush=True)
    if given.json is not None:
        known = json.loads(given.json.read_text(encoding="utf-8"))["tokenizers"] if given.json.exists() else []
        merged = {each["name"]: each for each in [*known, *rows]}
        given.json.write_text(json.dumps({"tokenizers": list(merged.values())}, indent=1) + "\n", encoding="utf-8")
    return int(any(each["ok"] < given.frames or not each["as_expected"] for each in rows))


if __name__ == "__main__":
    raise SystemExit(main())
