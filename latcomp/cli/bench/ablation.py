"""`latcomp bench ablation`: what each part of the coding saves."""

from __future__ import annotations

from latcomp.cli.bench.common import measure_each, plain_table, show
from latcomp.cli.options.expand import takes_groups
from latcomp.cli.options.measuring import BenchQualities, Clips, FiguresOptions, Groups, groups_of, numbers
from latcomp.cli.options.shared import Device, Duration
from latcomp.errors import UsageError


@takes_groups
def ablation(
    clips: Clips,
    quality: BenchQualities = "3,5,7",
    group: Groups = None,
    duration: Duration = None,
    device: Device = "auto",
    *,
    output: FiguresOptions,
) -> None:
    """Bits more at equal PSNR-Y without the coder, parts of the quantiser, and the predictor."""
    output.check(clips, "scipy")
    groups = groups_of(group)
    names = [clip.stem for clip in clips]
    strange = [name for members in groups.values() for name in members if name not in names]
    if strange:
        raise UsageError(f"--group names {', '.join(strange)}, which is not among the clips")
    if len(numbers(quality)) < 2:
        raise UsageError("--quality: a comparison at equal PSNR-Y needs two qualities or more")

    from latcomp.bench.ablation import figures_of, rows_of

    rows = []

    def measure(clip: object, watch: object) -> int:
        found = rows_of(clip, numbers(quality), device, duration)  # type: ignore[arg-type]
        rows.extend(found)
        return len(found)

    measure_each(clips, measure, output.quiet)
    figures = figures_of(rows, groups)
    if not output.quiet:
        lines = [*names, "mean", *(f"mean of {name}" for name in groups)]
        variants = figures["without"]
        table = plain_table("clip", *variants, title="percent more bits at equal PSNR-Y without each part")
        for line in lines:
            table.add_row(line, *("-" if found[line] is None else f"{found[line]:+.1f}" for found in variants.values()))
        show(table)
    output.write(figures)
