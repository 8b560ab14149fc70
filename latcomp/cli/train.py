"""`latcomp train tokenizer|decoder|lit|prior|profile`: a model, or an encoder's constants, out of a folder of clips."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from latcomp.cli.choices import PRESETS, completes
from latcomp.cli.options.expand import takes_groups
from latcomp.cli.options.numbers import finite_between
from latcomp.cli.options.panels import DEVICE
from latcomp.cli.options.shared import Device, Force
from latcomp.cli.standard import note
from latcomp.errors import OutputError, UsageError

app = typer.Typer(
    help="Train a tokenizer, its decoder alone, a LIT or a prior on a folder of clips, or fit a coding profile.",
    no_args_is_help=False,
)

BUDGET, CHECKPOINTS = "Budget and recipe", "Checkpoints"

Data = Annotated[Path, typer.Option("--data", metavar="DIR", help="Folder of clips.")]
Out = Annotated[
    Path, typer.Option("--out", metavar="DIR", help="Folder the model is written to, with its checkpoints and log.")
]
Minutes = Annotated[
    float | None,
    typer.Option(
        callback=finite_between(0, open_low=True), metavar="M", rich_help_panel=BUDGET, help="Training time in minutes."
    ),
]
Steps = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        rich_help_panel=BUDGET,
        help="Training time in steps; on a CPU the result is exactly repeatable for a seed.",
    ),
]
Seed = Annotated[int, typer.Option(min=0, metavar="N", rich_help_panel=BUDGET, help="Seed of all random choices.")]
Resume = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        rich_help_panel=CHECKPOINTS,
        help="Continue from the checkpoint in this folder, or from the finished model in it.",
    ),
]
PieceMib = Annotated[
    float | None,
    typer.Option(
        "--checkpoint-piece-mib",
        callback=finite_between(0, open_low=True),
        metavar="MIB",
        rich_help_panel=CHECKPOINTS,
        help="Write checkpoints in pieces of at most this many MiB; --resume joins them.",
    ),
]
BatchFactor = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        rich_help_panel=DEVICE,
        show_default=False,
        help="Batches of N times the recipe's size, learning rates times N to the power of 2/3; 1 on a CPU, by the "
        "GPU's size on one.",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        min=0,
        metavar="N",
        rich_help_panel=DEVICE,
        show_default=False,
        help="Processes that make examples: every core but one for a GPU unless given, on a CPU none, where a thread "
        "does it.",
    ),
]
Compile = Annotated[
    bool,
    typer.Option(
        "--compile", rich_help_panel=DEVICE, help="Compile the networks by torch.compile, which takes a minute or more."
    ),
]
Tokenizer = Annotated[
    str | None,
    typer.Option(metavar="NAME|PATH", help="The frozen tokenizer to train for; the default one unless given."),
]
Part = Annotated[
    str, typer.Option(metavar="NAME", help="What to train: all, or mask alone on top of the checkpoint of --resume.")
]


def _preset(kind: str) -> Any:
    """The option that names a recipe of this kind."""
    known = "; ".join(f"{name}: {what}" for name, what in PRESETS[kind].items())
    return typer.Option(
        autocompletion=completes(PRESETS[kind]),
        metavar="NAME|RECIPE.toml",
        rich_help_panel=BUDGET,
        help=f"The recipe ({known}), or a file like the recipe.toml beside a trained model.",
    )


def _check(data: Path, out: Path, minutes: float | None, steps: int | None, resume: Path | None, force: bool) -> None:
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


@dataclass(frozen=True)
class RunOptions:
    """How a training runs, whatever it trains."""

    minutes: Minutes = None
    steps: Steps = None
    seed: Seed = 0
    device: Device = "auto"
    batch_factor: BatchFactor = None
    workers: Workers = None
    compile: Compile = False
    resume: Resume = None
    checkpoint_piece_mib: PieceMib = None
    force: Force = False

    def train(self, kind: str, data: Path, out: Path, **settings: Any) -> None:
        """Train a model of this kind; settings: what only some kinds have. Refuses paths that cannot be used first."""
        _check(data, out, self.minutes, self.steps, self.resume, self.force)
        run = {name: value for name, value in vars(self).items() if name != "force"}
        import_module(f"latcomp.training.{kind}").train(data, out, **settings, **run)


@app.command("tokenizer")
@takes_groups
def tokenizer(
    *, data: Data, out: Out, preset: Annotated[str, _preset("tokenizer")] = "default", run: RunOptions
) -> None:
    """Train a tokenizer."""
    run.train("tokenizer", data, out, preset=preset)


@app.command("decoder")
@takes_groups
def decoder(
    *,
    data: Data,
    out: Out,
    tokenizer: Tokenizer = None,
    preset: Annotated[str, _preset("decoder")] = "default",
    run: RunOptions,
) -> None:
    """Train a tokenizer's decoder alone, on latents as they are stored in files."""
    run.train("decoder", data, out, tokenizer=tokenizer, preset=preset)


@app.command("lit")
@takes_groups
def lit(
    *,
    data: Data,
    out: Out,
    tokenizer: Tokenizer = None,
    preset: Annotated[str, _preset("lit")] = "default",
    run: RunOptions,
) -> None:
    """Train a LIT for a frozen tokenizer."""
    run.train("lit", data, out, tokenizer=tokenizer, preset=preset)


@app.command("prior")
@takes_groups
def prior(
    *,
    data: Data,
    out: Out,
    tokenizer: Tokenizer = None,
    part: Part = "all",
    preset: Annotated[str, _preset("prior")] = "default",
    run: RunOptions,
) -> None:
    """Train a prior, which tokens and masks are coded under, for a frozen tokenizer."""
    run.train("prior", data, out, tokenizer=tokenizer, part=part, preset=preset)


@app.command("profile")
def profile(
    *,
    data: Data,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            metavar="DIR",
            help="Folder that profile.json is written to: the tokenizer's own, for encode to use it.",
        ),
    ],
    tokenizer: Tokenizer = None,
    minutes: Annotated[
        float | None,
        typer.Option(
            callback=finite_between(0, open_low=True),
            metavar="M",
            rich_help_panel=BUDGET,
            help="Budget by the clock; constants whose turn does not come stay as they are. No bound unless given.",
        ),
    ] = None,
    crops: Annotated[
        int,
        typer.Option(
            min=1, metavar="N", rich_help_panel=BUDGET, help="Crops of the clips that every value is tried on."
        ),
    ] = 16,
    seed: Seed = 0,
    device: Device = "auto",
    force: Force = False,
) -> None:
    """Fit a tokenizer's coding profile: the constants that an encoder chooses by."""
    from latcomp.latents.profile import PROFILE
    from latcomp.training.profile import ProfileOptions, train_profile

    if not data.is_dir():
        raise UsageError(f"--data {data} is not a folder")
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out} is not a folder")
    if (out / PROFILE).exists() and not force:
        raise OutputError(f"{out / PROFILE} exists: choose another folder, or replace it with --force")

    def report(name: str, value: float, more: float | None) -> None:
        said = "no curves to compare" if more is None else f"{more:+.2f} % bits"
        note(f"{name} {value:g}: {said}")

    path = train_profile(ProfileOptions(data, out, tokenizer, minutes, crops, device, seed), report)
    note(f"{path} is written")
