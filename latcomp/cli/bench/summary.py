"""`latcomp bench summary`: how clips fare at the default setting, the best one and exactly."""

from __future__ import annotations

from latcomp.cli.bench.common import show
from latcomp.cli.options.expand import takes_groups
from latcomp.cli.options.measuring import Clips, FiguresOptions
from latcomp.cli.options.shared import Device


@takes_groups
def summary(clips: Clips, device: Device = "auto", *, output: FiguresOptions) -> None:
    """Default setting, best setting and round trip of every clip."""
    from rich.table import Table

    from latcomp.bench.summary import bench_summary

    output.check(clips)

    table = Table(box=None, pad_edge=False)
    for heading in ("clip", "bpp", "kept", "PSNR-Y", "MS-SSIM", "best", "exact", "-Q 9", "raw/-Q 9", "same", "repeats"):
        table.add_column(heading, justify="left" if heading == "clip" else "right")
    figures = bench_summary(clips, device)
    for row in [*figures["rows"], {"clip": "mean", **figures["mean"]}]:
        table.add_row(
            row["clip"],
            f"{row['bpp']:.4f}",
            f"{100 * row['keep_ratio']:.1f} %",
            f"{row['psnr_y']:.2f}",
            f"{row['ms_ssim_y']:.4f}",
            f"{row['best_psnr_y']:.2f}",
            f"{row['exact_psnr_y']:.2f}",
            f"{row['fine_psnr_y']:.2f}",
            f"{row['fine_ratio_to_raw']:.1f}",
            *("" if name not in row else "yes" if row[name] else "NO" for name in ("round_trip", "repeats")),
        )
    if not output.quiet:
        show(table)
    output.write(figures)
