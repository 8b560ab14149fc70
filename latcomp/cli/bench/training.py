"""`latcomp bench training`: steps and examples per second of each kind of training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from latcomp.cli.bench.common import plain_table, show, waiting
from latcomp.cli.options.expand import takes_groups
from latcomp.cli.options.measuring import FiguresOptions, TokenizerName
from latcomp.cli.options.shared import Device
from latcomp.cli.places import check_paths
from latcomp.cli.train import BatchFactor, Compile, Data, Workers


@takes_groups
def training(
    data: Data,
    kinds: Annotated[
        str, typer.Option(metavar="KIND,...", help="Trainings to measure, out of tokenizer, decoder, lit and prior.")
    ] = "tokenizer,prior,lit,decoder",
    steps: Annotated[int, typer.Option(min=1, metavar="N", help="Timed steps, after two that are not timed.")] = 10,
    preset: Annotated[str, typer.Option(metavar="NAME", help="The recipe of all of them.")] = "default",
    tokenizer: TokenizerName = None,
    batch_factor: BatchFactor = None,
    workers: Workers = None,
    compile: Compile = False,
    device: Device = "auto",
    *,
    output: FiguresOptions,
) -> None:
    """Steps per second of each kind of training, what its data path delivers alone, and how long a step waits for
    data.
    """
    if output.json is not None:
        check_paths(data, output.json, output.force)

    from latcomp.bench.training import measure
    from latcomp.training.loop import TrainOptions

    options = TrainOptions(
        data,
        Path(),
        steps=steps,
        preset=preset,
        device=device,
        batch_factor=batch_factor,
        workers=workers,
        compile=compile,
        tokenizer=tokenizer,
    )
    rows = []
    for kind in dict.fromkeys(name.strip() for name in kinds.split(",")):
        with waiting(kind, output.quiet) as watch:
            rows.append(measure(kind, options, steps, watch))
    if not output.quiet:
        table = plain_table(
            "kind", "batch", "steps/s", "examples/s", "data alone, examples/s", "waiting", title=rows[0]["device"]
        )
        for row in rows:
            table.add_row(
                row["kind"],
                f"{row['batch']}",
                f"{row['steps_per_second']:.3f}",
                f"{row['examples_per_second']:.2f}",
                f"{row['data_examples_per_second']:.1f}",
                f"{100 * row['waiting_share']:.1f} %",
            )
        show(table)
    output.write({"rows": rows})
