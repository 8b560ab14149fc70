"""The `latcomp` command: its sub-commands, and `run`, where every failure becomes one line and an exit code."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
import traceback
from types import FrameType
from typing import Annotated, NoReturn

import typer

from latcomp import __version__
from latcomp.cli import batch, bench, check, compare, decode, encode, models, stats, tokens, train
from latcomp.cli import exit_codes as codes
from latcomp.errors import LatcompError

DEBUG = "LATCOMP_DEBUG"  # set to 1, it adds the traceback to an error

app = typer.Typer(
    name="latcomp",
    help="A codec that turns any video into few tokens and back.",
    epilog="A path of - is standard input or output. The exit codes are in the README.",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("encode")(encode.encode)
app.command("decode")(decode.decode)
app.command("stats")(stats.stats)
app.command("check")(check.check)
app.command("compare")(compare.compare)
app.command("batch")(batch.batch)
app.command("tokens")(tokens.tokens)
app.command("models")(models.models)
app.add_typer(bench.app, name="bench")
app.add_typer(train.app, name="train")


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"latcomp {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _main(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        # Typer's help may print itself instead of returning text
        with contextlib.redirect_stdout(sys.stderr):
            print(context.get_help())
        raise typer.Exit(codes.USAGE)


class _Signalled(SystemExit):
    """A signal that asks the process to end, turned into an exception so that temporary files are removed on the way out."""


def _end_by_signal(number: int, frame: FrameType | None) -> NoReturn:
    raise _Signalled(codes.SIGNALLED + number)


def run(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line (of this process, or `arguments`) and exit with the code that the README's table gives."""
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        # a signal that was ignored from the start (nohup) stays ignored
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _end_by_signal)
    try:
        code = app(arguments, prog_name="latcomp", standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
    except Exception as error:
        code = _report(error)
    except KeyboardInterrupt:
        code = codes.INTERRUPTED
    except SystemExit as ended:
        if not isinstance(ended.__context__, BrokenPipeError):
            raise
        code = _report(ended.__context__)  # Typer ends a closed pipe itself, with exit code 1
    if code == codes.INTERRUPTED:
        _say("interrupted")
    sys.exit(code if isinstance(code, int) else codes.DONE)


def _report(error: Exception) -> int:
    """The exit code of a failure, after its one line on standard error."""
    if os.environ.get(DEBUG) == "1":
        traceback.print_exception(error)
    if isinstance(error, LatcompError):
        _say(f"error: {error}")
        return codes.exit_code(error)
    if isinstance(error, BrokenPipeError):
        _drop_output()  # whoever read it has left and wants no more, not even a message
        return codes.OUTPUT
    if hasattr(error, "format_message"):  # Typer's and Click's own errors: the command line was wrong
        context = getattr(error, "ctx", None)
        command = context.command_path if context is not None else "latcomp"
        _say(f"error: {error.format_message()} (see {command} --help)")
        return codes.USAGE
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        _say("error: out of memory: give --device cpu, or a smaller video")
        return codes.DEVICE
    if isinstance(error, OSError) and error.errno in (
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EFBIG,
        errno.EROFS,
        errno.EIO,
    ):
        _drop_output()
        _say(f"error: the output cannot be written: {error.strerror}")
        return codes.OUTPUT
    lines = str(error).strip().splitlines()
    _say(
        f"error: unexpected {type(error).__name__}: {lines[0] if lines else 'no message'} (set {DEBUG}=1 for a traceback)"
    )
    return codes.UNEXPECTED


def _drop_output() -> None:
    """Send what standard output still buffers nowhere: flushing it when the interpreter ends would fail once more."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say(text: str) -> None:
    """One line on standard error, which may itself be closed."""
    line = " ".join(text.split())
    with contextlib.suppress(OSError, ValueError, AttributeError):
        print(f"latcomp: {line}", file=sys.stderr, flush=True)
