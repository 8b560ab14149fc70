"""Protects: what one reader of a file does moves no other."""

from __future__ import annotations

import io
import threading

from latcomp.sources import SharedFile

DATA = bytes(range(256)) * 8


def test_each_view_has_its_own_place() -> None:
    shared = SharedFile(io.BytesIO(DATA))
    first, second = shared.view(), shared.view()
    assert first.read(10) == DATA[:10] and second.read(3) == DATA[:3]
    assert first.seek(-4, io.SEEK_END) == len(DATA) - 4 and first.read() == DATA[-4:] and first.read(1) == b""
    assert second.tell() == 3 and second.seek(2, io.SEEK_CUR) == 5 and second.read(2) == DATA[5:7]
    assert second.seek(100) == 100 and second.read() == DATA[100:]


def test_a_closed_view_leaves_the_file_open() -> None:
    shared = SharedFile(io.BytesIO(DATA))
    shared.view().close()
    assert shared.view().read(4) == DATA[:4]


def test_threads_do_not_move_each_other() -> None:
    shared = SharedFile(io.BytesIO(DATA))
    found: list[bytes] = []

    def read() -> None:
        view = shared.view()
        found.append(b"".join(iter(lambda: view.read(7), b"")))

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [DATA] * 4
