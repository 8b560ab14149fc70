"""Protects: options that commands share are written down once, as fields of a dataclass, and arrive as its object."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from latcomp.cli.options.expand import takes_groups

TOLD: list[object] = []


@dataclass(frozen=True)
class Shared:
    """Two options."""

    size: Annotated[int, typer.Option("-s", "--size", min=1)] = 3
    name: Annotated[str | None, typer.Option()] = None


@takes_groups
def command(word: Annotated[str, typer.Argument()], loud: bool = False, *, shared: Shared, last: int = 1) -> None:
    """Say a word."""
    TOLD[:] = [word, loud, shared, last]


def test_each_field_stands_in_the_place_of_the_group() -> None:
    assert list(inspect.signature(command).parameters) == ["word", "loud", "size", "name", "last"]
    assert command.__doc__ == "Say a word."


def test_a_call_from_python_takes_the_fields() -> None:
    command("yes", True, name="mine")
    assert ["yes", True, Shared(3, "mine"), 1] == TOLD
    with pytest.raises(TypeError, match="shared"):
        command("yes", shared=Shared())


def test_the_command_line_has_an_option_for_each_field() -> None:
    app = typer.Typer()
    app.command()(command)
    assert CliRunner().invoke(app, ["hello", "-s", "5", "--last", "2"]).exit_code == 0
    assert ["hello", False, Shared(5, None), 2] == TOLD
    assert CliRunner().invoke(app, ["hello", "--size", "0"]).exit_code == 2


def test_a_new_field_is_a_new_option_of_every_command() -> None:
    @dataclass(frozen=True)
    class More(Shared):
        colour: Annotated[str, typer.Option()] = "red"

    def paint(options: More) -> None:
        TOLD[:] = [options]

    paint.__annotations__["options"] = More
    painted = takes_groups(paint)
    painted(colour="blue")
    assert [More(3, None, "blue")] == TOLD
