"""Text from outside (file names, names in headers, words of other libraries) made fit to be shown; numbers in words.

What a terminal would act on or a reader could be misled by is shown as an escape, in this one place: control
characters, line breaks, marks that turn the direction of writing, invisible characters, and bytes of file names that
are not UTF-8."""

from __future__ import annotations

import re
import shlex
import unicodedata
from collections.abc import Iterable

_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_JOINERS = "\u200c\u200d"  # scripts and emoji need them inside words
_HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}  # control, format, surrogate, line and paragraph separator
_SURROGATE = re.compile("[\ud800-\udfff]")


def printable(text: object) -> str:
    """The text on one line, with everything a terminal would not just show as an escape: `\\n`, `\\x1b`, `\\u202e`.

    A byte of a file name that is not UTF-8 is shown as `\\xff`. Backslashes that are there stay as they are. Safe to
    apply twice."""
    words = str(text)
    return words if words.isprintable() else "".join(map(_shown, words))


def utf8(text: str) -> str:
    """The text as it can be encoded in UTF-8: bytes of file names that are not, and lone surrogates, are escaped as in
    `printable`.
    """
    return _SURROGATE.sub(lambda found: _escape(found[0]), text)


def counted(number: int, what: str) -> str:
    """A number of things in words: '1 segment', '2 segments'."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def bytes_text(count: int) -> str:
    """A number of bytes for people, as '1.23 MB'."""
    if count < 1000:
        return f"{count} B"
    size, unit = count / 1000, "kB"
    for unit in ("kB", "MB", "GB", "TB"):
        if size < 999.5 or unit == "TB":
            break
        size /= 1000
    return f"{size:.3g} {unit}"


def command_line(words: Iterable[object]) -> str:
    """The words as a shell would take them, to be pasted: quoted where that is needed, as `$'...'` where they do not
    print.
    """
    return " ".join(shlex.quote(word) if printable(word) == word else _dollar_quoted(word) for word in map(str, words))


def _shown(character: str) -> str:
    hidden = unicodedata.category(character) in _HIDDEN and character not in _JOINERS
    return _escape(character) if hidden else character


def _escape(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # how Python keeps a byte that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    if character in _SHORT:
        return _SHORT[character]
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _dollar_quoted(word: str) -> str:
    """A word as bash, zsh and ksh read it back, all in ASCII where it does not print."""
    parts = []
    for character in word:
        if character in "'\\":
            parts.append("\\" + character)
        elif _shown(character) == character:
            parts.append(character)
        else:
            parts.append("".join(f"\\x{byte:02x}" for byte in _bytes_of(character)))
    return "$'" + "".join(parts) + "'"


def _bytes_of(character: str) -> bytes:
    try:
        return character.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return character.encode("utf-8", "surrogatepass")  # in no file name: only what a header holds
