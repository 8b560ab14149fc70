"""How commands and their groups present themselves: usage lines, help panels, hints for a command that does not
exist.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from typer.core import TyperCommand, TyperGroup

from latcomp.cli.choices import did_you_mean
from latcomp.cli.direction import is_lat
from latcomp.cli.hints import COMMAND_WORDS, address, foreign_flag, missing_option, too_few, too_many, without_command
from latcomp.cli.options.panels import OUTPUT
from latcomp.cli.standard import output_named
from latcomp.printable import command_line
from latcomp.suffixes import INPUT_SUFFIXES


class Command(TyperCommand):
    """A command whose help names arguments as the documentation does and shows no type beside a flag."""

    def __init__(self, name: str | None, *, help: str | None = None, **settings: Any) -> None:
        super().__init__(name, help=flowing(help or ""), **settings)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The rest of the words, as Click has it. Fails with what was meant where they are those of another tool, or
        not as many.
        """
        words = [] if ctx.resilient_parsing else list(args)
        own = {name for param in self.params for name in (*param.opts, *param.secondary_opts)}
        refused = address(words, self.name or "")
        if refused is not None:
            ctx.fail(refused)
        try:
            return super().parse_args(ctx, args)  # type: ignore[no-any-return,unused-ignore]
        except Exception as error:
            meant = None
            if hasattr(error, "possibilities"):  # no such option
                meant = foreign_flag(words, own, any(param.param_type_name == "argument" for param in self.params))
            elif "unexpected extra argument" in str(getattr(error, "message", "")):
                meant = too_many(words, self.name or "", own)
            elif type(error).__name__ == "MissingParameter":
                missing: Any = getattr(error, "param", None)
                meant = too_few(words, self.name or "")
                if meant is None and getattr(missing, "param_type_name", "") == "option":
                    meant = missing_option(missing.opts, missing.help or "")
            if meant is not None:
                ctx.fail(meant)
            raise

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help."""
        with output_named():
            super().format_help(ctx, formatter)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The words after the command's name, as `[OPTIONS] IN OUT.lat`: arguments without the braces, second brackets
        and second dots that some versions put.
        """
        pieces = [re.sub(r"^\{(.+)\}(\.\.\.)?$", r"\1\2", piece) for piece in super().collect_usage_pieces(ctx)]
        return [re.sub(r"^\[(\[.+\])\]$", r"\1", piece).replace("......", "...") for piece in pieces]

    def get_params(self, ctx: Any) -> list[Any]:
        """The parameters, those of a command with panels all in panels: else --help would stand first, in one of its
        own.
        """
        params: list[Any] = _without_types(super().get_params(ctx))
        panels = [panel for param in params if (panel := getattr(param, "rich_help_panel", None))]
        for param in params:
            if panels and param.name == "help" and param.rich_help_panel is None:
                param.rich_help_panel = OUTPUT if OUTPUT in panels else panels[-1]
        return params


class CommandGroup(TyperGroup):
    """A group of commands that knows what was meant where the first word is no command."""

    def __init__(self, *, epilog: str | None = None, **settings: Any) -> None:
        super().__init__(epilog=flowing(epilog or ""), **settings)

    def get_params(self, ctx: Any) -> list[Any]:
        """The group's own options."""
        return _without_types(super().get_params(ctx))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The rest of the words, as Click has it. Fails with what was meant where flags stand in the place of a
        command.
        """
        words = [] if ctx.resilient_parsing else list(args)
        try:
            return super().parse_args(ctx, args)  # type: ignore[no-any-return,unused-ignore]
        except Exception as error:
            if hasattr(error, "possibilities") and ctx.parent is None:
                command, word = without_command(words), words[0]
                if command is not None:
                    ctx.fail(f"{word} is no command; did you mean {command}?")
                if word in ("-v", "-V", "-version"):
                    ctx.fail(f"No such option {word}; did you mean --version?")
            raise

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help."""
        with output_named():
            super().format_help(ctx, formatter)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that `args` begin with. Fails as a wrong command line, with the command that was meant."""
        word = args[0]
        if not word.startswith("-") and self.get_command(ctx, word) is None and not ctx.resilient_parsing:
            ctx.fail(_meant(word, args, ctx.command_path, self.list_commands(ctx), top=ctx.parent is None))
        return super().resolve_command(ctx, args)


def flowing(text: str) -> str:
    """The text with each paragraph on one line, for the terminal to wrap: line breaks of the source are kept
    otherwise.
    """
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def _meant(word: str, args: list[str], path: str, known: list[str], *, top: bool) -> str:
    """What to say of a first word that is no command: that of a person who asks for help, or left `encode` or `decode`
    out.
    """
    if word == "help":
        return f"No such command 'help'; did you mean {' '.join([path, *args[1:2], '--help'])}?"
    if top and word.lower() in COMMAND_WORDS:
        return f"No such command {word!r}; did you mean {command_line([path, COMMAND_WORDS[word.lower()], *args[1:]])}?"
    if top and is_lat(Path(word)):
        decoded, shown = f"latcomp decode {command_line(args)}", f"latcomp stats {command_line([word])}"
        return f"{word} is no command; did you mean {decoded} or {shown}?"
    if top and Path(word).suffix.lower() in INPUT_SUFFIXES:
        return f"{word} is no command; did you mean latcomp encode {command_line(args)}?"
    return f"No such command {word!r}{did_you_mean(word, known) or ': choose ' + ', '.join(known)}"


def _no_type(ctx: Any) -> None:
    """The type of an argument, for the help."""


def _without_types(params: list[Any]) -> list[Any]:
    for param in params:
        if getattr(param, "is_flag", False) and param.metavar is None:
            param.metavar = ""  # a flag takes no value: nothing is to be said of its type
        if getattr(param, "param_type_name", "") == "argument" and hasattr(param, "display_type_rich"):
            param.display_type_rich = _no_type  # its name says what it is; `list[Path]` says it to programmers
    return params
