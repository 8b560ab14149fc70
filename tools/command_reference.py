"""Writes docs/commands.md, every command and flag, from the command line's own declarations.

    python -m tools.command_reference

A test holds the page against the code, so run this after a change to commands, flags or their help."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from latcomp.cli.main import COMMANDS, EPILOG

PAGE = Path(__file__).parents[1] / "docs" / "commands.md"
COMMAND = "python -m tools.command_reference"
ELSEWHERE = {"help", "install_completion", "show_completion"}
"""Options whose words are Typer's and differ with its version; the head of the page describes them."""
HEAD = f"""# Commands and flags

<!-- Written by `{COMMAND}`: change the declarations in latcomp/cli, then run it. -->

What `latcomp COMMAND --help` says, of every command. What the settings do to a file, with examples, is in
[cli.md](cli.md); what `--json` prints in [json.md](json.md).

`-h` and `--help` print the help of any command. `latcomp --version` prints the version, `latcomp --install-completion`
sets up completion for your shell, and `latcomp --show-completion` prints the script for it.
"""
MARKUP = re.compile(r"[|<>*_`]")
"""What Markdown would read as its own in the plain words of a help text."""
CODE = re.compile(
    r"(?<![\w`/.-])("
    r"eval \"\$\([^)]*\)\""
    r"|pip install '[^']*'"
    rf"|latcomp (?:--[\w-]+|(?:{'|'.join(COMMANDS)})(?: --[\w-]+)?)"
    r"|--[a-z][\w-]*"
    r")(?![\w`])"
)
"""What is code there: flags, commands, and what is to be typed."""


def page() -> str:
    """The page, as docs/commands.md has to be."""
    import typer.main

    from latcomp.cli.main import make_app

    commands: dict[str, Any] = dict(typer.main.get_command(make_app()).commands)  # type: ignore[attr-defined]
    parts = [HEAD, *_contents(commands), *(f"{_words(each)}\n" for each in EPILOG.split("\n\n"))]
    for name, command in commands.items():
        parts += _section(command, f"latcomp {name}", COMMANDS[name].examples)
    return "\n".join(parts).rstrip() + "\n"


def _contents(commands: dict[str, Any]) -> Iterator[str]:
    """A table of all commands, each with the first paragraph of its help."""
    yield "| command | what it does |\n|---|---|"
    for name, command in commands.items():
        for path, one in _with_inner(f"latcomp {name}", command):
            yield f"| [`{path}`](#{path.replace(' ', '-')}) | {_words(_paragraphs(one)[0])} |"
    yield ""


def _with_inner(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    """A command, and those of its group behind it."""
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from _with_inner(f"{path} {name}", inner)


def _section(command: Any, path: str, examples: str | None) -> Iterator[str]:
    """The section of a command, and those of its group."""
    yield f"{'#' * path.count(' ')}# {path}\n"
    for text in _paragraphs(command):
        yield f"{_words(text)}\n"
    yield f"```text\n{' '.join([path, *_usage(command, path)])}\n```\n"
    arguments = [param for param in command.params if param.param_type_name == "argument"]
    if arguments:
        yield "| argument | meaning |\n|---|---|"
        yield from (f"| {_choices(one.metavar.strip('[]'))} | {_meaning(one)} |" for one in arguments)
        yield ""
    for panel, options in _panels(command).items():
        yield f"**{panel}**\n\n| option | value | meaning |\n|---|---|---|"
        yield from (f"| {_names(one)} | {_value(one)} | {_meaning(one)} |" for one in options)
        yield ""
    if examples:
        yield "```sh\n" + examples.replace("\n\n", "\n") + "\n```\n"
    for name, inner in getattr(command, "commands", {}).items():
        yield from _section(inner, f"{path} {name}", None)


def _paragraphs(command: Any) -> list[str]:
    """The help of a command, without what its declaration puts below."""
    text = (command.help or "").split("For example:")[0]
    return [" ".join(each.split()) for each in text.split("\n\n") if each.strip()]


def _usage(command: Any, path: str) -> list[str]:
    """The words behind the command's name, as its help shows them."""
    import typer

    if hasattr(command, "commands"):
        return ["COMMAND", "..."]
    return list(command.collect_usage_pieces(typer.Context(command, info_name=path)))


def _panels(command: Any) -> dict[str, list[Any]]:
    """The options of a command by the panel of its help that has them; those of no panel come first, as there."""
    found: dict[str, list[Any]] = {"Options": []}
    for param in command.params:
        if param.param_type_name == "option" and not param.hidden and param.name not in ELSEWHERE:
            found.setdefault(param.rich_help_panel or "Options", []).append(param)
    return {panel: options for panel, options in found.items() if options}


def _names(option: Any) -> str:
    """Its names, short ones first, and behind 'or' those that turn it off."""
    on = ", ".join(map(_code, sorted(option.opts, key=len)))
    return " or ".join([on, *map(_code, option.secondary_opts)])


def _value(option: Any) -> str:
    """What stands behind the flag; nothing for one that takes no value."""
    return "" if option.is_flag or not option.metavar else _choices(option.metavar)


def _choices(metavar: str) -> str:
    """`A`, `B` or `C` of A|B|C: a bar would end the cell of a table."""
    *first, last = map(_code, metavar.split("|"))
    if last == _code("..."):
        return ", ".join([*first, "..."])
    return f"{', '.join(first)} or {last}" if first else last


def _meaning(param: Any) -> str:
    """The help of an argument or option, with what its words leave out: values, range and default."""
    bounds = _range(param)
    parts = [param.help or "", _known_values(param), f"Range: {bounds}" if bounds else ""]
    parts = [_words(part.rstrip(".") + ".") for part in parts if part]
    if param.show_default and not getattr(param, "is_flag", False) and param.default not in (None, [], ()):
        default = param.default
        parts.append(f"{_code(f'{default:g}' if isinstance(default, float) else str(default))} unless given.")
    if param.param_type_name == "option" and param.required:
        parts.append("Required.")
    return " ".join(parts)


def _known_values(param: Any) -> str:
    """The words that an option takes, with what they mean, where neither its help nor its metavar has them all."""
    import typer

    if param._custom_shell_complete is None:
        return ""
    items = param.shell_complete(typer.Context(typer.main.get_command(_nothing())), "")
    named = {item.value: item.help for item in items if item.help}
    shown = f"{param.metavar} {param.help}"
    if all(re.search(rf"(?<!\w){re.escape(value)}(?!\w)", shown) for value in named):
        return ""
    return "; ".join(f"{value}: {meaning}" for value, meaning in named.items())


def _nothing() -> Any:
    """An app for contexts that no option looks at."""
    import typer

    app = typer.Typer(add_completion=False)
    app.command()(lambda: None)
    return app


def _range(param: Any) -> str:
    """The range of a number in words: of Typer's bounds, of a check of the command line, or of the library's settings;
    empty without one.
    """
    kind = param if hasattr(param, "min") else param.type  # older versions of Typer keep bounds in the type
    low, high = getattr(kind, "min", None), getattr(kind, "max", None)
    if low is not None:
        return f"at least {low:g}" if high is None else f"{low:g} to {high:g}"
    if param.callback:
        return str(inspect.getclosurevars(inspect.unwrap(param.callback)).nonlocals.get("wanted", ""))
    return _range_of_setting(param.name) if param.default is None and ".." not in (param.metavar or "") else ""


def _range_of_setting(name: str) -> str:
    """The range of a number among the settings of encodings, as the library's message has it; empty for others."""
    from latcomp.codec.latent_settings import LatentSettings
    from latcomp.codec.settings import EncodeSettings
    from latcomp.errors import UsageError

    for settings in (EncodeSettings, LatentSettings):
        if name in {field.name for field in fields(settings) if "float" in str(field.type)}:
            try:
                settings(**{name: -1.0})
            except UsageError as error:
                advice = str(error).rpartition("choose ")[2]
                return re.split(r" \(|, such as", advice)[0]
    return ""


def _words(text: str) -> str:
    """Words of a help text as Markdown."""
    plain = " ".join(text.replace("\\[", "[").split())  # brackets are escaped for the terminal
    pieces = CODE.split(plain)
    return "".join(_code(piece) if place % 2 else MARKUP.sub(r"\\\g<0>", piece) for place, piece in enumerate(pieces))


def _code(text: str) -> str:
    return f"`{text}`"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8", newline="\n")
    print(f"{PAGE} is written")
