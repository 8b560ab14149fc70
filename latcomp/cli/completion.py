"""`latcomp completion SHELL`, and what the command line does when a shell asks it for completions.

The shell runs the command with the line so far in the environment, at every press of TAB: nothing here imports torch,
av or numpy."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, MutableMapping
from typing import Annotated

import typer

from latcomp.cli.choices import completes, one_of

VARIABLE = "_LATCOMP_COMPLETE"  # what the scripts of bash, zsh and fish set
SHELLS = {
    "bash": "for ~/.bash_completion",
    "zsh": "for a file _latcomp on the fpath",
    "fish": "for ~/.config/fish/completions/latcomp.fish",
}


def completion(
    shell: Annotated[
        str,
        typer.Argument(
            metavar="bash|zsh|fish",
            callback=one_of(SHELLS),
            autocompletion=completes(SHELLS),
            help="The shell the script is for.",
        ),
    ],
) -> None:
    """Print a script that makes a shell complete commands, flags and their values.

    Once, for your shell: latcomp --install-completion. For this session: eval "$(latcomp completion bash)".
    """
    from typer.completion import get_completion_script

    print(get_completion_script(prog_name="latcomp", complete_var=VARIABLE, shell=shell))


def typed_words(environment: Mapping[str, str]) -> list[str] | None:
    """The words of the line that a shell asks completions for, as far as they are complete; None when no shell asks."""
    if VARIABLE not in environment:
        return None
    if "COMP_WORDS" in environment:
        words = environment["COMP_WORDS"].split("\n" if "\n" in environment["COMP_WORDS"] else None)
        count = environment.get("COMP_CWORD", "")
        return words[: int(count)] if count.isdecimal() else words
    line = environment.get("_TYPER_COMPLETE_ARGS", "")
    return line.split() if line.endswith(" ") else line.split()[:-1]


def join_equal_signs(environment: MutableMapping[str, str]) -> None:
    """Let `--fill=au` be completed in bash, which takes the equal sign for a word of its own: it is left out of the
    words.
    """
    words, count = environment.get("COMP_WORDS", "").split("\n"), environment.get("COMP_CWORD", "")
    if not count.isdecimal():
        return
    place = int(count) - 1
    if 0 < place < len(words) and words[place] == "=" and words[place - 1].startswith("--"):
        del words[place]
        environment["COMP_WORDS"], environment["COMP_CWORD"] = "\n".join(words), str(place)


def first_word(arguments: list[str] | None) -> str | None:
    """The word that names the command: of the arguments (of this process, when None), or of a line that is being
    completed.
    """
    words = typed_words(os.environ)
    given = words[1:] if words is not None else sys.argv[1:] if arguments is None else arguments
    return given[0] if given else None
