"""Protects the frame rule: frames and latent frames are counted alike by codec, container and report."""

from __future__ import annotations

import pytest

from latcomp.latents.frame_rule import FrameRule

RULES = [FrameRule(4, 4), FrameRule(4, 1), FrameRule(8, 1), FrameRule(6, 2), FrameRule(1, 1)]


def by_hand(rule: FrameRule, frames: int) -> list[int]:
    """Frames of each latent frame, dealt out one by one."""
    counts: list[int] = []
    for _ in range(frames):
        if not counts or counts[-1] == (rule.first if len(counts) == 1 else rule.temporal):
            counts.append(0)
        counts[-1] += 1
    return counts


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_every_count_is_that_of_dealing_frames_out(rule: FrameRule) -> None:
    for frames in range(40):
        counts = by_hand(rule, frames)
        assert rule.counts(frames) == counts
        assert rule.latent_frames(frames) == len(counts)
        assert [steps for steps in range(60) if rule.fits(frames, steps)] == [len(counts)] * (frames > 0)
        full = rule.frames(len(counts))
        assert rule.missing(frames) == full - frames >= 0
        assert by_hand(rule, full) == [
            *counts[:-1],
            *([rule.temporal if len(counts) > 1 else rule.first] * bool(counts)),
        ]


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_each_frame_has_one_latent_frame(rule: FrameRule) -> None:
    for frame in range(40):
        place = rule.place(rule.latent_frame_of(frame))
        assert place.start <= frame < place.stop


def test_a_public_tokenizer_of_four_frames() -> None:
    """Wan, Cosmos 4x, Hunyuan: 1 + 4k frames."""
    rule = FrameRule(temporal=4, first=1)
    assert [rule.frames(steps) for steps in (1, 2, 3, 21)] == [1, 5, 9, 81]
    assert rule.missing(10) == 3
    assert rule.inside == FrameRule(4, 4)
