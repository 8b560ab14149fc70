"""`latcomp bench ablation`: what each part of the coding saves."""

from __future__ import annotations

from typing import Annotated

import typer

from latcomp.cli.bench.common import (
    Clips,
    Groups,
    JsonFile,
    check_outputs,
    checked,
    finish,
    groups_of,
    measure_each,
    numbers,
    plain_table,
    quality_list,
    show,
)
from latcomp.cli.options.shared import Device, Duration, Force, Quiet
from latcomp.errors import UsageError


def ablation(
    clips: Clips,
    quality: Annotated[
        str, typer.Option("-Q", "--quality", callback=quality_list, metavar="Q,Q,...", help="Qualities to measure at.")
    ] = "3,5,7",
    group: Groups = None,
    duration: Duration = None,
    device: Device = "auto",
    json: JsonFile = None,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Bits more at equal PSNR-Y without the coder, parts of the quantiser, and the predictor."""
    from latcomp.report.extras import need_report_extra

    need_report_extra("scipy")
    groups = groups_of(group)
    names = [clip.stem for clip in checked(clips)]
    strange = [name for members in groups.values() for name in members if name not in names]
    if strange:
        raise UsageError(f"--group names {', '.join(strange)}, which is not among the clips")
    if len(numbers(quality)) < 2:
        raise UsageError("--quality: a comparison at equal PSNR-Y needs two qualities or more")
    check_outputs(clips, force, json, None)

    from latcomp.bench.ablation import figures_of, rows_of

    rows = []

    def measure(clip: object, watch: object) -> int:
        found = rows_of(clip, numbers(quality), device, duration)  # type: ignore[arg-type]
        rows.extend(found)
        return len(found)

    measure_each(clips, measure, quiet)
    figures = figures_of(rows, groups)
    if not quiet:
        lines = [*names, "mean", *(f"mean of {name}" for name in groups)]
        variants = figures["without"]
        table = plain_table("clip", *variants, title="percent more bits at equal PSNR-Y without each part")
        for line in lines:
            table.add_row(line, *("-" if found[line] is None else f"{found[line]:+.1f}" for found in variants.values()))
        show(table)
    finish(figures, json)
