"""`latcomp bench coding`: bytes of the same tokens under each coding."""

from __future__ import annotations

from latcomp.cli.bench.common import show
from latcomp.cli.options.expand import takes_groups
from latcomp.cli.options.measuring import BenchQualities, Clips, FiguresOptions, TokenizerName, numbers
from latcomp.cli.options.shared import Device


@takes_groups
def coding(
    clips: Clips,
    quality: BenchQualities = "3,5,7",
    tokenizer: TokenizerName = None,
    device: Device = "auto",
    *,
    output: FiguresOptions,
) -> None:
    """Bytes of the same tokens and masks under each coding, and the coder's speed."""
    from rich.table import Table

    from latcomp.bench.coding import bench_coding

    output.check(clips)

    figures = bench_coding(clips, numbers(quality), tokenizer, device)
    table = Table(box=None, pad_edge=False)
    table.add_column("clip")
    for heading in (
        "-Q",
        "order 0",
        "zstd",
        "context",
        "saved",
        "by prediction",
        "mask zstd",
        "mask",
        "saved",
        "M values/s there / back",
    ):
        table.add_column(heading, justify="right")
    for row in figures["rows"]:
        table.add_row(
            row["clip"],
            f"{row['quality']:g}",
            f"{row['tokens_order0']}",
            f"{row['tokens_zstd']}",
            f"{row['tokens_prior']}",
            f"{100 * (1 - row['tokens_prior'] / max(row['tokens_zstd'], 1)):.1f} %",
            f"{100 * (1 - row['ideal_predicted'] / max(row['ideal_held'], 1)):.1f} %",
            f"{row['mask_packed']}",
            f"{row['mask_prior']}",
            f"{100 * (1 - row['mask_prior'] / max(row['mask_packed'], 1)):.1f} %",
            f"{row['encode_speed']:.1f} / {row['decode_speed']:.1f}",
        )
    for name, mean in (*((f"{row['quality']:g}", row) for row in figures["mean"]), ("all", figures["mean_of_all"])):
        table.add_row(
            "mean",
            name,
            "",
            "",
            "",
            f"{mean['tokens_saved_percent']:.1f} %",
            f"{mean['prediction_saved_percent']:.1f} %",
            "",
            "",
            f"{mean['mask_saved_percent']:.1f} %",
            f"{mean['encode_speed']:.1f} / {mean['decode_speed']:.1f}",
        )
    if not output.quiet:
        show(table)
    output.write(figures)
