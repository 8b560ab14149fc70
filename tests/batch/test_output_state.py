"""Protects: what counts as the same models when a file stands where an output is to be."""

from __future__ import annotations

from dataclasses import replace

from latcomp.batch.output_state import differences
from tests.container.make import header, of_latents

KNOWN = {"fingerprint": "ef" * 32}


def test_a_file_of_before_fingerprints_is_of_the_same_models() -> None:
    old, new = header(), header()
    new = replace(new, tokenizer={**new.tokenizer, **KNOWN})
    assert differences(old, new) == differences(new, old) == differences(new, new) == []


def test_another_configuration_is_another_model() -> None:
    """The same weights; what is told apart is shown."""
    one = replace(header(), tokenizer={**header().tokenizer, **KNOWN})
    other = replace(one, tokenizer={**one.tokenizer, "fingerprint": "12" * 32})
    assert differences(one, other) == ["tokenizer test (efefefef), not test (12121212)"]


AUDIO = {
    "codec": "aac",
    "sample_rate": 48000,
    "channels": 2,
    "layout": "stereo",
    "time_base": [1, 48000],
    "language": "eng",
    "setup": "1a45dfa3",
}


def test_what_ffmpeg_derives_is_no_difference() -> None:
    """An upgrade of PyAV may name a layout otherwise, write another head around the same parameters, or estimate a rate
    anew.
    """
    old = header(audio=[AUDIO], average_rate=(24975, 1000))
    audio = {**AUDIO, "layout": "2 channels", "setup": "1a45dfa3ff", "time_base": [1, 90000]}
    new = replace(old, audio=[audio], average_rate=(25, 1), time_base=(1, 90000))
    assert differences(old, new) == differences(new, old) == []
    assert differences(old, replace(new, average_rate=None)) == []


def test_a_camera_that_was_to_be_followed_is_a_setting() -> None:
    """Either way: latents of one of them have frame places, those of the other may not."""
    still, moving = header(), header(requires=("camera",))
    assert differences(still, moving) == ["camera off, not auto"]
    assert differences(moving, still) == ["camera auto, not off"]
    assert differences(moving, moving) == []


def test_another_source_is_a_difference() -> None:
    old = header(audio=[AUDIO])
    for change in ({"codec": "opus"}, {"sample_rate": 44100}, {"channels": 1}, {"language": "deu"}):
        assert differences(old, replace(old, audio=[{**AUDIO, **change}])) == ["other audio"]
    assert differences(old, replace(old, audio=[AUDIO, AUDIO])) == ["other audio"]
    assert differences(old, replace(old, audio=[])) == ["with audio"]
    assert differences(replace(old, audio=[]), old) == ["without audio"]
    assert differences(old, replace(old, average_rate=(50, 1))) == ["the video's average rate was 25/1, not 50/1"]
    assert differences(old, replace(old, width=52)) == ["the video's width was 50, not 52"]


def test_steps_that_are_fitted_are_no_difference() -> None:
    """They follow from the video; those of a profile are a setting."""
    steps = {"channel_step": [0.5] * 6, "channel_scale": [0.5] * 6}
    fitted, wanted = header(requires=("steps",), steps=steps), header()
    assert differences(fitted, wanted) == []
    other = replace(fitted, steps={**steps, "channel_step": [0.25] * 6})
    assert differences(other, fitted) == differences(wanted, fitted) == ["other steps of the channels"]
    assert differences(fitted, fitted) == []


def test_a_file_of_latents_is_none_of_the_video() -> None:
    of = of_latents(5, 7, 6)
    found = differences(replace(of, width=50, height=40), header(threshold=of.threshold))
    assert "made of latents, not of a video" in found and any("tokenizer test (by name)" in one for one in found)
