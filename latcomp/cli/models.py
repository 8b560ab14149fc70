"""`latcomp models`: the shipped tokenizers, LITs and priors, and what is known of any one."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from latcomp.cli.choices import tokenizer_names
from latcomp.cli.options.shared import Json
from latcomp.cli.standard import error_console, note, print_json
from latcomp.printable import bytes_text, printable

if TYPE_CHECKING:
    from latcomp.models import ModelCard


def models(
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME|PATH]",
            help="One of them, or any tokenizer in a folder or file; a published one is run to find its specification.",
            autocompletion=tokenizer_names,
        ),
    ] = None,
    json: Json = False,
) -> None:
    """List the shipped models, or show one: name, hash, size, cost, specification."""
    from latcomp.models import card_of, list_models

    cards = list_models() if what is None else [card_of(what)]
    if json:
        print_json({"models": [asdict(card) for card in cards]})
        return
    if not cards:
        note("no models found: the package was installed without its weights")
        return
    if what is None:
        _show_list(cards)
    else:
        _show_one(cards[0])


def _show_list(cards: list[ModelCard]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for heading in ("name", "kind", "sha256", "size", "parameters", "encoder", "decoder"):
        table.add_column(heading, justify="left" if heading in ("name", "kind", "sha256") else "right", no_wrap=True)
    for card in cards:
        table.add_row(
            Text(printable(card.name)),
            card.kind,
            card.sha256[:12],
            bytes_text(card.bytes),
            _count(card.parameters),
            _cost(card.encoder_kmac_per_pixel),
            _cost(card.decoder_kmac_per_pixel),
        )
    console = error_console()
    console.print(table)
    console.print("encoder and decoder: thousand multiply-adds per pixel")
    for card in cards:
        console.print(Text(printable(f"{card.name} was trained on {card.trained_on}")), soft_wrap=True)


def _show_one(card: ModelCard) -> None:
    from rich.text import Text

    rows = {
        "name": card.name,
        "kind": card.kind,
        "path": card.path,
        "sha256": card.sha256,
        "fingerprint": card.fingerprint,
        "size": f"{bytes_text(card.bytes)}, {_count(card.parameters)} parameters",
        **_cost_rows(card),
        **_spec_rows(card.spec or {}),
        **_published_rows(card.published or {}),
        "trained on": card.trained_on,
    }
    console, width = error_console(), max(map(len, rows))
    for name, text in rows.items():
        console.print(Text(printable(f"{name:{width}}  {text}")), soft_wrap=True)
    for line in card.notes:
        note(printable(line))


def _cost_rows(card: ModelCard) -> dict[str, str]:
    costs = {"encoder": card.encoder_kmac_per_pixel, "decoder": card.decoder_kmac_per_pixel}
    return {name: f"{_cost(cost)} thousand multiply-adds per pixel" for name, cost in costs.items() if cost is not None}


def _spec_rows(spec: dict[str, Any]) -> dict[str, str]:
    """A tokenizer's specification in words."""
    if not spec:
        return {}
    temporal, first, steps = spec["temporal"], spec["first_frames"], spec["channel_step"]
    frames = f"{temporal} k frames" if first == temporal else f"{first} + {temporal} k frames"
    low, high = spec["pixel_range"]
    still = "unchanged" if not spec["transient"] else f"after {spec['transient']} latent frames"
    if spec["period"] > 1:
        still += f", then as {spec['period']} latent frames before"
    together = f", {spec['chunk']} latent frames at once" if spec["chunk"] > 1 else ""
    return {
        "latents": f"{spec['channels']} channels, {spec['spatial']}x{spec['spatial']} pixels x {temporal} frames",
        "frame rule": frames,
        "streaming": ("exact" if spec["exact_streaming"] else "none: each group is coded by itself") + together,
        "still scene": still,
        "steps": f"{min(steps):.3g} to {max(steps):.3g}",
        "pixels": f"{low:g} to {high:g}",
        "camera": "can be followed" if spec["movable"] else "cannot be followed",
    }


def _published_rows(shown: dict[str, Any]) -> dict[str, str]:
    """What else running a published tokenizer showed, in words."""
    if not shown:
        return {}
    sizes = f"{shown['least']} position{'s' * (shown['least'] > 1)} or more a side"
    if shown["multiple"] > 1:
        sizes += f", a multiple of {shown['multiple']}"
    changes = ", ".join(f"{100 * step:.1f}" for step in shown["still_steps"][:8])
    found = {
        "class": f"{shown['class']}, weights in {shown['dtype']}, tiling off",
        "sizes": f"{sizes} (others are completed and cut off again)",
        "causality": f"later frames change earlier latents by {100 * shown['leak']:.2g} %",
        "still steps": f"{changes} % from one latent frame to the next",
        "deviation": f"{shown['deviation']:.3g}" + ("" if shown["normalised"] else ", no published statistics"),
    }
    if shown["streaming"] is not None:
        found["streaming error"] = f"{shown['streaming']:.1e} of the largest value"
    return {**found, "measured in": f"{shown['seconds']:g} s"}


def _count(parameters: int | None) -> str:
    return "-" if parameters is None else f"{parameters:,}"


def _cost(kmac_per_pixel: float | None) -> str:
    return "-" if kmac_per_pixel is None else f"{kmac_per_pixel:.2f}"
