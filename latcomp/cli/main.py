"""The `latcomp` command: its sub-commands, and `run`, where every failure becomes one line and an exit code."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import traceback
from dataclasses import dataclass
from importlib import import_module
from types import FrameType
from typing import Annotated, Any, NoReturn

import typer

from latcomp import __version__
from latcomp.cli import exit_codes as codes
from latcomp.cli.choices import did_you_mean
from latcomp.cli.commands import Command, CommandGroup
from latcomp.cli.completion import first_word, join_equal_signs
from latcomp.cli.messages import message_of
from latcomp.cli.standard import drop_output, flush_output, hold_closed_streams, note, say
from latcomp.devices import device_failure
from latcomp.errors import LatcompError
from latcomp.output import is_write_failure

DEBUG = "LATCOMP_DEBUG"  # set to 1, it adds the traceback to an error
EPILOG = """latcomp COMMAND --help explains a command, as latcomp encode --help.

A path of - is standard input or output. Data goes to standard output, messages to standard error.

Exit codes: 0 done, 1 internal error, 2 usage, 3 not a video or cache, 4 damaged or not a .lat file, 5 a model is \
missing, 6 output, 7 a limit, 8 device, 130 interrupted."""

FILES, LATENTS, MODELS = "Look into files", "Latents for training", "Models and measurements"


@dataclass(frozen=True)
class Entry:
    """Where a command is, and under which heading the help lists it."""

    place: str
    """module:name of a function, or of the typer app of a group of commands."""
    panel: str | None = None
    examples: str | None = None
    """Lines to copy, under the help of the command."""


# in the order of the help
COMMANDS = {
    "encode": Entry(
        "encode:encode",
        None,
        "latcomp encode clip.mp4 clip.lat -Q 6\n\nffmpeg -i in.mov -f matroska - | latcomp encode - clip.lat "
        "--target-bpp 0.08",
    ),
    "decode": Entry("decode:decode", None, "latcomp decode clip.lat back.mp4\n\nlatcomp decode clip.lat - | ffplay -"),
    "batch": Entry("batch:batch", None, "latcomp batch videos/ lats/ --jobs 4 --json > done.jsonl"),
    "stats": Entry("stats:stats", FILES),
    "check": Entry("check:check", FILES),
    "compare": Entry("compare:compare", FILES),
    "tokens": Entry("tokens:tokens", FILES),
    "import": Entry("caches:import_", LATENTS, "latcomp import cache/ lats/ --max-rmse 0.05 --jobs 4"),
    "export": Entry("caches:export", LATENTS, "latcomp export lats/ cache/ --as musubi"),
    "models": Entry("models:models", MODELS),
    "bench": Entry("bench.app:app", MODELS),
    "train": Entry("train:app", MODELS),
    "completion": Entry("completion:completion", MODELS),
}


def make_app(only: str | None = None) -> typer.Typer:
    """The command line with all commands, or with the one that is asked for: importing and building the others takes
    time.
    """
    app = typer.Typer(
        name="latcomp",
        cls=CommandGroup,
        help="A codec that turns any video into few tokens and back.",
        epilog=EPILOG,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(invoke_without_command=True)(_main)
    for name, entry in COMMANDS.items():
        if only in (name, None):
            module, _, attribute = entry.place.partition(":")
            found = getattr(import_module(f"latcomp.cli.{module}"), attribute)
            if isinstance(found, typer.Typer):
                for command in found.registered_commands:
                    command.cls = Command
                app.add_typer(found, name=name, cls=CommandGroup, rich_help_panel=entry.panel)
            else:
                below = entry.examples and f"For example:\n\n{entry.examples}"
                app.command(name, cls=Command, rich_help_panel=entry.panel, epilog=below)(found)
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"latcomp {__version__}")
        raise typer.Exit


def _main(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        # Typer's help may print itself instead of returning text
        with contextlib.redirect_stdout(sys.stderr):
            print(context.get_help())
        raise typer.Exit(codes.USAGE)


class _Signalled(SystemExit):
    """A signal that asks the process to end, turned into an exception so that temporary files are removed on the way
    out.
    """


_signals: list[
    int
] = []  # that came in; libraries written in C and Rust turn what a handler raises into errors of their own


def _end_by_signal(number: int, frame: FrameType | None) -> NoReturn:
    _signals.append(number)
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise _Signalled(codes.SIGNALLED + number)


def run(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line (of this process, or `arguments`) and exit with the code that docs/cli.md gives."""
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        # a signal that was ignored from the start (nohup) stays ignored
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _end_by_signal)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end_by_signal)
    _signals.clear()
    hold_closed_streams()
    join_equal_signs(os.environ)
    word = first_word(arguments)
    try:
        app = make_app(word if word in COMMANDS else None)
        code = app(arguments, prog_name="latcomp", standalone_mode=False)
        flush_output()
    except Exception as error:
        code = codes.SIGNALLED + _signals[0] if _signals else _report(error)
    except KeyboardInterrupt:
        code = codes.INTERRUPTED
    except SystemExit as ended:
        if not isinstance(ended.__context__, BrokenPipeError):
            raise
        code = _report(ended.__context__)  # Typer ends a closed pipe itself, with exit code 1
    if code == codes.INTERRUPTED:
        note("interrupted")
    sys.exit(code if isinstance(code, int) else codes.DONE)


def _report(error: Exception) -> int:
    """The exit code of a failure, after its one line on standard error."""
    if os.environ.get(DEBUG) == "1":
        for line in "".join(traceback.format_exception(error)).splitlines():
            say(line)
    known = error if isinstance(error, LatcompError) else device_failure(error)
    if known is not None:
        note(f"error: {message_of(known)}")
        return codes.exit_code(known)
    if isinstance(error, BrokenPipeError):
        drop_output()  # whoever read it has left and wants no more, not even a message
        return codes.OUTPUT
    if hasattr(error, "format_message"):  # Typer's and Click's own errors: the command line was wrong
        context = getattr(error, "ctx", None)
        command = context.command_path if context is not None else "latcomp"
        note(f"error: {_usage_words(error)} (see {command} --help)")
        return codes.USAGE
    if isinstance(error, OSError) and is_write_failure(error):
        drop_output()
        note(f"error: {error.filename or 'the output'}: cannot be written: {error.strerror}")
        return codes.OUTPUT
    lines = str(error).strip().splitlines()
    note(
        f"error: unexpected {type(error).__name__}: {lines[0] if lines else 'no message'} (set {DEBUG}=1 for a "
        "traceback)"
    )
    return codes.UNEXPECTED


def _usage_words(error: Any) -> str:
    """What was wrong with the command line; for an unknown option with the one that was meant, where one is close."""
    option = getattr(error, "option_name", None)
    context = getattr(error, "ctx", None)
    if option and context is not None and hasattr(error, "possibilities"):
        known = [
            name
            for one in context.command.get_params(context)
            for name in (*one.opts, *one.secondary_opts)
            if name.startswith("--")
        ]
        return f"No such option {option}{did_you_mean(option, known)}"
    return " ".join(str(error.format_message()).split())
