"""`latcomp train tokenizer|decoder|lit|prior`: a model folder out of a folder of clips."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from latcomp.cli.common import Device, Force, finite_between
from latcomp.errors import OutputError, UsageError

app = typer.Typer(help="Train a tokenizer, its decoder alone, a LIT or a prior on a folder of clips.", no_args_is_help=False)

Data = Annotated[Path, typer.Option("--data", metavar="DIR", help="Folder of clips.")]
Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder the model is written to.")]
Minutes = Annotated[
    float | None,
    typer.Option(callback=finite_between(0, open_low=True), metavar="M", help="Budget by the clock."),
]
Steps = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Budget in steps; repeats exactly for its seed.")
]
Resume = Annotated[Path | None, typer.Option(metavar="DIR", help="Go on from the checkpoint or the finished model in this folder.")]
Preset = Annotated[str, typer.Option(metavar="NAME", help="Which recipe to train with.")]
Seed = Annotated[int, typer.Option(min=0, metavar="N", help="Seed of all random choices.")]


def _check(
    data: Path, out: Path, minutes: float | None, steps: int | None, resume: Path | None, force: bool
) -> None:
    if (minutes is None) == (steps is None):
        raise UsageError("give a training budget: either --minutes or --steps")
    if not data.is_dir():
        raise UsageError(f"--data {data} is not a folder")
    if resume is not None and not resume.exists():
        raise UsageError(f"--resume {resume} does not exist")
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out} is not a folder")
    if (out / "model.safetensors").exists() and not force:
        raise OutputError(f"{out} holds a model already: choose another folder, or replace it with --force")


@app.command("tokenizer")
def tokenizer(
    data: Data, out: Out, minutes: Minutes = None, steps: Steps = None, resume: Resume = None,
    device: Device = "auto", preset: Preset = "default", seed: Seed = 0, force: Force = False,
) -> None:  # fmt: skip
    """Train a tokenizer."""
    _check(data, out, minutes, steps, resume, force)
    from latcomp.training.tokenizer import train

    train(
        data=data,
        out=out,
        minutes=minutes,
        steps=steps,
        resume=resume,
        device=device,
        preset=preset,
        seed=seed,
    )


@app.command("decoder")
def decoder(
    data: Data, out: Out, minutes: Minutes = None, steps: Steps = None, resume: Resume = None,
    tokenizer: Annotated[
        str | None, typer.Option(metavar="NAME|PATH", help="The tokenizer whose decoder goes on; its encoder stays as it is.")
    ] = None,
    device: Device = "auto", preset: Preset = "default", seed: Seed = 0, force: Force = False,
) -> None:  # fmt: skip
    """Train a tokenizer's decoder alone, on latents as files hold them."""
    _check(data, out, minutes, steps, resume, force)
    from latcomp.training.decoder import train

    train(
        data=data, out=out, minutes=minutes, steps=steps, resume=resume, device=device, preset=preset, seed=seed,
        tokenizer=tokenizer,
    )  # fmt: skip


@app.command("lit")
def lit(
    data: Data, out: Out, minutes: Minutes = None, steps: Steps = None, resume: Resume = None,
    tokenizer: Annotated[
        str | None, typer.Option(metavar="NAME|PATH", help="The tokenizer whose latents it fills in.")
    ] = None,
    device: Device = "auto", preset: Preset = "default", seed: Seed = 0, force: Force = False,
) -> None:  # fmt: skip
    """Train a LIT for a frozen tokenizer."""
    _check(data, out, minutes, steps, resume, force)
    from latcomp.training.lit import train

    train(
        data=data, out=out, minutes=minutes, steps=steps, resume=resume, device=device, preset=preset, seed=seed,
        tokenizer=tokenizer,
    )  # fmt: skip


@app.command("prior")
def prior(
    data: Data, out: Out, minutes: Minutes = None, steps: Steps = None, resume: Resume = None,
    tokenizer: Annotated[
        str | None, typer.Option(metavar="NAME|PATH", help="The tokenizer whose tokens it codes.")
    ] = None,
    part: Annotated[
        str, typer.Option(metavar="NAME", help="What to train: all, or mask alone on top of the checkpoint of --resume.")
    ] = "all",
    device: Device = "auto", preset: Preset = "default", seed: Seed = 0, force: Force = False,
) -> None:  # fmt: skip
    """Train a prior, which tokens and masks are coded under, for a frozen tokenizer."""
    _check(data, out, minutes, steps, resume, force)
    from latcomp.training.prior import train

    train(
        data=data, out=out, minutes=minutes, steps=steps, resume=resume, device=device, preset=preset, seed=seed,
        tokenizer=tokenizer, part=part,
    )  # fmt: skip
