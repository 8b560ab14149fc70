"""Runs targets under atheris: `python -m tests.fuzz.run --seconds 600 [TARGET ...]`, or one target for so many
`--runs`.

Each target runs in a process of its own. Inputs that made something new happen are kept in `--work`, findings as
`crash-*` beside them; the corpus in the repository is only read. `LATCOMP_FUZZ_SECONDS` is the budget of `make fuzz`,
for all targets together."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
BUDGET = "LATCOMP_FUZZ_SECONDS"
SECONDS = 600.0
LENGTHS = {
    "times": 64,
    "audio": 96,
    "attachment": 128,
    "prelude": 512,
    "index": 200,
    "mask": 96,
    "tokens": 400,
    "adaptive": 96,
    "coder": 64,
    "modes": 128,
    "prior": 64,
    "offsets": 48,
    "moved": 160,
}
LENGTH = 1500  # of whole files and headers
MEMORY_MIB, ONE_CALL_SECONDS = 700, 10


def fuzz(name: str, arguments: list[str]) -> None:
    """Run one target in this process; atheris ends it."""
    import atheris

    with atheris.instrument_imports(include=["latcomp.container"]):
        from tests.fuzz import targets
    from tests.fuzz.seal import changed_chunks, changed_file

    mutators = {"chunks": changed_chunks, "camera": changed_chunks, "file": changed_file, "repaired": changed_file}
    options = {}
    if name in mutators:

        def mutate(data: bytes, most: int, seed: int) -> bytes:
            return mutators[name](
                bytes(data), most, lambda piece, room: bytes(atheris.Mutate(piece, max(room, 1))), seed
            )

        options["custom_mutator"] = mutate
    atheris.Setup([sys.argv[0], *arguments], targets.TARGETS[name], **options)
    atheris.Fuzz()


def words() -> list[str]:
    """Lines of a libFuzzer dictionary for the header's JSON."""
    from latcomp.container.header_fields import HEADER_FIELDS

    found = [f'\\"{field.name}\\":' for field in HEADER_FIELDS]
    found += [
        "null",
        "[0,1]",
        "1e308",
        "-1",
        "2147483647",
        "4294967296",
        "NaN",
        "true",
        '\\"lossless\\"',
        '\\"int\\"',
        '\\"previous\\"',
    ]
    return [f'"{word}"' for word in found]


def call(name: str, work: Path, limits: list[str]) -> tuple[int, int, float, str]:
    """(exit code, executions, seconds, last lines) of one target in a process of its own."""
    kept = work / name
    kept.mkdir(parents=True, exist_ok=True)
    arguments = [
        f"-max_len={LENGTHS.get(name, LENGTH)}",
        f"-rss_limit_mb={MEMORY_MIB}",
        f"-timeout={ONE_CALL_SECONDS}",
        "-len_control=20",
        f"-artifact_prefix={kept}/crash-",
        "-print_final_stats=1",
        *limits,
    ]
    if name == "header":
        dictionary = work / "header.dict"
        dictionary.write_text("\n".join(words()) + "\n", encoding="utf-8")
        arguments.append(f"-dict={dictionary}")
    began = time.monotonic()
    command = [
        sys.executable,
        "-m",
        "tests.fuzz.run",
        "--inside",
        name,
        "--",
        *arguments,
        str(kept),
        str(CORPUS / name),
    ]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    found = re.findall(r"stat::number_of_executed_units:\s*(\d+)", done.stderr)
    counts = re.findall(r"^#(\d+)\s", done.stderr, re.MULTILINE)
    executed = int(found[-1]) if found else int(counts[-1]) if counts else 0
    return done.returncode, executed, time.monotonic() - began, "\n".join(done.stderr.splitlines()[-40:])


def main() -> int:
    """Every target in turn; 1 when one of them found something."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", help="all when none is named")
    parser.add_argument(
        "--seconds", type=float, default=float(os.environ.get(BUDGET, SECONDS)), help="for all targets together"
    )
    parser.add_argument("--runs", type=int, help="executions of each target instead of a time")
    parser.add_argument("--seed", type=int, default=0, help="0: another one each time")
    parser.add_argument("--work", type=Path, help="folder for what is found; a temporary one when missing")
    chosen = parser.parse_args()
    from tests.fuzz.targets import TARGETS

    names = chosen.targets or list(TARGETS)
    if unknown := set(names) - set(TARGETS):
        parser.error(f"no target {', '.join(sorted(unknown))}: there are {', '.join(TARGETS)}")
    bad = 0
    with tempfile.TemporaryDirectory(prefix="latcomp-fuzz-") as folder:
        work = chosen.work or Path(folder)
        for name in names:
            limits = (
                [f"-runs={chosen.runs}"]
                if chosen.runs
                else [f"-max_total_time={max(int(chosen.seconds / len(names)), 1)}"]
            )
            code, executed, seconds, told = call(
                name, work, [*limits, *([f"-seed={chosen.seed}"] if chosen.seed else [])]
            )
            outcome = "ok" if code == 0 else f"FOUND SOMETHING (exit {code})"
            print(f"{name:8} {executed:9} executions {seconds:7.1f} s  {outcome}", flush=True)
            if code:
                bad = 1
                print(told, flush=True)
                for crash in sorted((work / name).glob("crash-*")):
                    print(f"{crash.name}: {crash.read_bytes().hex()}", flush=True)
    return bad


if __name__ == "__main__":
    if sys.argv[1:2] == ["--inside"]:
        fuzz(sys.argv[2], sys.argv[4:])
    else:
        sys.exit(main())
