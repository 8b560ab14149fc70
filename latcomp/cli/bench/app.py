"""The commands of `latcomp bench`."""

from __future__ import annotations

import typer

from latcomp.cli.bench.ablation import ablation
from latcomp.cli.bench.allocators import allocators
from latcomp.cli.bench.coding import coding
from latcomp.cli.bench.dataset import dataset
from latcomp.cli.bench.fill import fill
from latcomp.cli.bench.growth import growth
from latcomp.cli.bench.latents import latents
from latcomp.cli.bench.length import length
from latcomp.cli.bench.rd import rd
from latcomp.cli.bench.speed import speed
from latcomp.cli.bench.summary import summary
from latcomp.cli.bench.tokens import tokens
from latcomp.cli.bench.training import training

app = typer.Typer(help="Measure latcomp on clips.", no_args_is_help=False)
for command in (
    rd,
    allocators,
    ablation,
    length,
    training,
    speed,
    growth,
    summary,
    tokens,
    fill,
    coding,
    latents,
    dataset,
):
    app.command(command.__name__)(command)
