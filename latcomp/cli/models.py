"""`latcomp models`: the shipped tokenizers, LITs and priors."""

from __future__ import annotations

from dataclasses import asdict

from latcomp.cli.options.shared import Json
from latcomp.cli.standard import error_console, note, print_json


def models(json: Json = False) -> None:
    """List the shipped models: name, hash, size, cost, what they were trained on."""
    from latcomp.models import list_models

    cards = list_models()
    if json:
        print_json({"models": [asdict(card) for card in cards]})
        return
    if not cards:
        note("no models found: the package was installed without its weights")
        return
    from rich.table import Table
    from rich.text import Text

    from latcomp.printable import printable
    from latcomp.report.terminal import bytes_text

    table = Table(box=None, pad_edge=False)
    for heading in ("name", "kind", "sha256", "size", "parameters", "encoder", "decoder"):
        table.add_column(heading, justify="left" if heading in ("name", "kind", "sha256") else "right", no_wrap=True)
    for card in cards:
        table.add_row(
            Text(printable(card.name)),
            card.kind,
            card.sha256[:12],
            bytes_text(card.bytes),
            f"{card.parameters:,}",
            _cost(card.encoder_kmac_per_pixel),
            _cost(card.decoder_kmac_per_pixel),
        )
    console = error_console()
    console.print(table)
    console.print("encoder and decoder: thousand multiply-adds per pixel")
    for card in cards:
        console.print(Text(printable(f"{card.name} was trained on {card.trained_on}")), soft_wrap=True)


def _cost(kmac_per_pixel: float | None) -> str:
    return "-" if kmac_per_pixel is None else f"{kmac_per_pixel:.2f}"
