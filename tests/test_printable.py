"""Protects: text from outside is shown as escapes where a terminal would act on it, and names can be pasted back."""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import pytest

from latcomp.printable import bytes_text, command_line, printable, utf8

SHOWN = [
    ("clip.mp4", "clip.mp4"),
    ("naïve Ж 動画 🎬.mp4", "naïve Ж 動画 🎬.mp4"),
    ("न्\u200dय 👩\u200d💻 x\u200cy", "न्\u200dय 👩\u200d💻 x\u200cy"),  # joiners belong to words
    ("no\u00a0break", "no\u00a0break"),
    ("\x1b]0;owned\x07\x1b[31m", "\\x1b]0;owned\\x07\\x1b[31m"),
    ("a\nb\r\tc", "a\\nb\\r\\tc"),
    ("\x9b31m\x7f", "\\u009b31m\\x7f"),
    ("gpj.\u202egepm", "gpj.\\u202egepm"),
    ("\u2066\u200f\ufeff\u200b", "\\u2066\\u200f\\ufeff\\u200b"),
    ("a\u2028b", "a\\u2028b"),
    (os.fsdecode(b"b\xff.mp4"), "b\\xff.mp4"),
    ("\ud800x", "\\ud800x"),
    ("C:\\new\\x1b", "C:\\new\\x1b"),  # backslashes that are there stay
]


@pytest.mark.parametrize(("text", "shown"), SHOWN)
def test_what_is_shown(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert printable(shown) == shown
    shown.encode("utf-8")


@pytest.mark.parametrize("text", [text for text, _ in SHOWN])
def test_utf8_alters_only_what_cannot_be_encoded(text: str) -> None:
    data = utf8(text).encode("utf-8")
    if not any("\ud800" <= character <= "\udfff" for character in text):
        assert data.decode() == text
    assert json.loads(json.dumps(utf8(text), ensure_ascii=False).encode()) == utf8(text)


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_a_command_line_is_read_back_by_a_shell_and_shows_no_control_character() -> None:
    words = ["latcomp", "a b", "it's", "$x", *(text for text, _ in SHOWN), "back\\slash's\x1b"]
    line = command_line(words)
    assert printable(line) == line
    done = subprocess.run(["bash", "-c", f"printf '%s\\0' {line}"], capture_output=True, check=True)
    read = done.stdout.split(b"\0")[:-1]
    # a lone surrogate that stands for no byte is no possible name
    assert [one for one, word in zip(read, words, strict=True) if word != "\ud800x"] == [
        os.fsencode(word) for word in words if word != "\ud800x"
    ]


def test_bytes_text() -> None:
    """Sizes with three digits and a unit."""
    assert [bytes_text(count) for count in (0, 999, 1000, 1_234_567, 999_999, 5 * 10**12)] == [
        "0 B",
        "999 B",
        "1 kB",
        "1.23 MB",
        "1 MB",
        "5 TB",
    ]
