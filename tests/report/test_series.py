"""Rows a group add up to the file and follow each other in time; columns of curves keep those sums."""

from __future__ import annotations

import io
from itertools import pairwise

import pytest

from latcomp.container import scan
from latcomp.report.series import COLUMNS, KINDS, columns_of, group_rows
from latcomp.report.stats import stats_dict
from tests.container.make import groups, header, written


def test_rows_are_the_groups_of_the_figures() -> None:
    of = header()
    made = groups(of, 5, last_frames=30)
    summary = scan(io.BytesIO(written(of, made)))
    rows, figures = group_rows(summary), stats_dict(summary)
    assert [tuple(group) for group in figures["groups"]] == [COLUMNS] * 5
    assert sum(row.bytes_tokens for row in rows) == figures["bytes_tokens"]
    assert sum(row.bytes_mask for row in rows) == figures["bytes_mask"]
    assert all(row.bytes == row.bytes_tokens + row.bytes_mask + row.bytes_other for row in rows)
    assert all(0 < row.bytes_other < 200 for row in rows)
    assert [row.key for row in rows] == [True, False, True, False, True]
    assert [row.frames for row in rows] == [32, 32, 32, 32, 30]
    assert [row.latent_frames for row in rows] == [8] * 5
    for row, follower in pairwise(rows):
        assert row.end_seconds == follower.start_seconds
    assert rows[-1].end_seconds - rows[0].start_seconds == pytest.approx(figures["duration_seconds"])


def test_a_lost_group_leaves_a_gap() -> None:
    """What stands before it ends with its own last frame, not where the next group begins."""
    of = header()
    summary = scan(io.BytesIO(written(of, groups(of, 6), sound=False)))
    summary.groups = [group for group in summary.groups if group.index not in (2, 3)]
    rows = group_rows(summary)
    assert [row.group for row in rows] == [0, 1, 4, 5]
    assert rows[1].end_seconds == pytest.approx(64 / 25)
    assert rows[2].start_seconds == pytest.approx(128 / 25)


def test_columns_keep_shares_and_bits() -> None:
    of = header()
    rows = group_rows(scan(io.BytesIO(written(of, groups(of, 5, last_frames=30)))))
    each, paired = columns_of(rows, 5), columns_of(rows, 3)
    assert [len(columns_of(rows, most)) for most in (1, 2, 3, 4, 5, 100)] == [1, 2, 3, 3, 5, 5]
    for columns in (each, paired):
        assert columns[0].start_seconds == rows[0].start_seconds and columns[-1].end_seconds == rows[-1].end_seconds
        for place, kind in enumerate(KINDS):
            bits = sum(
                column.bits_per_second[place] * (column.end_seconds - column.start_seconds) for column in columns
            )
            assert bits == pytest.approx(8 * sum(getattr(row, f"bytes_{kind}") for row in rows))
    kept = rows[0].tokens_kept + rows[1].tokens_kept
    assert paired[0].keep_ratio == kept / (rows[0].tokens_total + rows[1].tokens_total)
    assert columns_of([], 10) == []


def test_a_single_frame_lasts_as_the_rate_says() -> None:
    of = header()
    (row,) = group_rows(scan(io.BytesIO(written(of, groups(of, 1, last_frames=1)))))
    assert row.seconds == pytest.approx(1 / 25)
    of = header(average_rate=None)
    (row,) = group_rows(scan(io.BytesIO(written(of, groups(of, 1, last_frames=1)))))
    assert row.seconds == 0 and columns_of([row], 9)[0].bits_per_second == (0, 0, 0)
