"""Protects: encode and decode give back the video, through files and through pipes, and say in JSON what the contract
says.
"""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.stats_keys import STATS_KEYS

from .conftest import Latcomp


def times_and_size(path: Path) -> tuple[list[Fraction], int, int]:
    """Presentation times in seconds, width and height of a video's frames."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    return [frame.pts * frame.time_base for frame in frames], frames[0].width, frames[0].height


def audio_packets(path: Path) -> list[bytes]:
    """The packets of the first audio stream."""
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


def test_the_video_comes_back(clip: Path, lat: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    """Same frames, size, times and audio packets."""
    back = tmp_path / "back.mp4"
    ran = latcomp("decode", lat, back)
    assert (ran.code, ran.out) == (0, b""), ran.err
    assert "20 frames" in ran.err
    assert times_and_size(back) == times_and_size(clip)
    assert audio_packets(back) == audio_packets(clip)
    assert [path.name for path in tmp_path.iterdir()] == ["back.mp4"]


def test_encode_says_what_it_did(clip: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    """One closing line for people; with --json the statistics and the speed, which `stats` repeats."""
    target = tmp_path / "out.lat"
    ran = latcomp("encode", clip, target, "--json")
    assert ran.code == 0, ran.err
    for word in ("20 frames", "% of tokens kept", "bpp", "fps"):
        assert word in ran.lines[-1]
    told = json.loads(ran.out)
    assert set(told) >= STATS_KEYS | {"encode_seconds", "frames_per_second", "device"}
    assert told["bytes_total"] == target.stat().st_size
    assert (told["frames"], told["width"], told["height"], told["latent_frames"]) == (20, 64, 48, 5)
    stats = json.loads(latcomp("stats", target, "--json").out)
    assert set(stats) >= STATS_KEYS
    assert {key: told[key] for key in stats} == stats


def test_decode_says_what_it_did(lat: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    ran = latcomp("decode", lat, tmp_path / "back.mkv", "--json", "-q")
    assert (ran.code, ran.err) == (0, "")
    told = json.loads(ran.out)
    assert set(told) >= {"frames", "width", "height", "decode_seconds", "frames_per_second", "device"}
    assert (told["frames"], told["width"], told["height"]) == (20, 64, 48)


def test_quiet_is_silent(clip: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    ran = latcomp("encode", clip, tmp_path / "out.lat", "-q")
    assert (ran.code, ran.out, ran.err) == (0, b"", "")


def test_a_pipe_carries_the_file_both_ways(clip: Path, lat: Path, shell: Latcomp, tmp_path: Path) -> None:
    """`encode - -` and `decode - -` write what they write to files, and nothing else, to standard output."""
    encoded = shell("encode", "-", "-", stdin=clip.read_bytes())
    assert encoded.code == 0, encoded.err
    assert encoded.out == lat.read_bytes()
    decoded = shell("decode", "-", "-", stdin=encoded.out)
    assert decoded.code == 0, decoded.err
    back = tmp_path / "back.mkv"
    back.write_bytes(decoded.out)
    times, width, height = times_and_size(back)
    assert (len(times), width, height) == (20, 64, 48)


def test_the_token_budget_is_met(clip: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    """--keep 0.5 keeps half of the tokens, to the token."""
    ran = latcomp("encode", clip, tmp_path / "half.lat", "--keep", "0.5", "--json", "-q")
    told = json.loads(ran.out)
    assert abs(told["tokens_kept"] - told["tokens_total"] / 2) <= 1


def test_more_quality_is_closer_to_the_original(clip: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    """The knob turns the right way: quality 9 costs more bytes than 1 and comes closer."""
    found = {}
    for quality in (1, 9):
        target = tmp_path / f"{quality}.lat"
        assert latcomp("encode", clip, target, "-Q", quality, "-q").code == 0
        found[quality] = json.loads(latcomp("compare", clip, target, "--json").out)
    assert found[9]["bpp"] > found[1]["bpp"]
    assert found[9]["psnr_y"] > found[1]["psnr_y"]


def test_a_part_of_the_video(clip: Path, lat: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    """--start and --duration choose by time in both directions: 0.2 s to 0.6 s at 25 fps are 10 frames."""
    part = latcomp("encode", clip, tmp_path / "part.lat", "--start", "0.2", "--duration", "0.4", "--json", "-q")
    assert json.loads(part.out)["frames"] == 10
    back = latcomp("decode", lat, tmp_path / "part.mp4", "--start", "0.2", "--duration", "0.4", "--json", "-q")
    assert json.loads(back.out)["frames"] == 10


def test_sound_can_be_left_out(clip: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    ran = latcomp("encode", clip, tmp_path / "mute.lat", "--no-audio", "--json", "-q")
    assert json.loads(ran.out)["bytes_audio"] == 0


def test_a_format_that_cannot_hold_the_sound_exits_6(lat: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    """AAC does not fit into webm: said before anything is decoded, and nothing is left."""
    ran = latcomp("decode", lat, tmp_path / "back.webm")
    assert ran.code == 6, ran.err
    assert len(ran.lines) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_tokens_are_the_kept_latents(suffix: str, lat: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    """Kept tokens, mask and dense latents agree with each other and with the statistics."""
    target = tmp_path / f"arrays{suffix}"
    ran = latcomp("tokens", lat, target)
    assert ran.code == 0, ran.err
    if suffix == ".npz":
        with np.load(target) as file:
            arrays = dict(file)
    else:
        from safetensors.numpy import load_file

        arrays = load_file(target)
    stats = json.loads(latcomp("stats", lat, "--json").out)
    channels = stats["tokenizer"]["channels"]
    assert arrays["latents"].shape == (1, channels, 5, 6, 8)
    assert arrays["mask"].shape == (5, 6, 8)
    assert arrays["tokens"].shape == (stats["tokens_kept"], channels)
    assert int(arrays["mask"].sum()) == stats["tokens_kept"]
    assert np.array_equal(arrays["latents"][0].transpose(1, 2, 3, 0)[arrays["mask"]], arrays["tokens"])


def test_stats_for_people_go_to_standard_error(lat: Path, latcomp: Latcomp) -> None:
    ran = latcomp("stats", lat)
    assert (ran.code, ran.out) == (0, b"")
    assert "64x48" in ran.err.replace(" ", "")


def test_models_lists_the_default_tokenizer(latcomp: Latcomp) -> None:
    """The table and the JSON name it, with its hash and size."""
    from latcomp.models import DEFAULT_TOKENIZER

    cards = {card["name"]: card for card in json.loads(latcomp("models", "--json").out)["models"]}
    card = cards[DEFAULT_TOKENIZER]
    assert card["kind"] == "tokenizer" and len(card["sha256"]) == 64
    assert card["bytes"] == (Path(card["path"]) / "model.safetensors").stat().st_size
    assert DEFAULT_TOKENIZER in latcomp("models").err


def test_stats_and_check_read_a_pipe(lat: Path, shell: Latcomp) -> None:
    """The same figures as from the file."""
    piped = shell("stats", "-", "--json", stdin=lat.read_bytes())
    assert piped.code == 0, piped.err
    assert json.loads(piped.out) == json.loads(shell("stats", lat, "--json").out)
    assert shell("check", "-", stdin=lat.read_bytes()).code == 0


def test_a_time_behind_the_end_is_a_matter_of_usage(lat: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    """The file is not damaged, and nothing is left under the output's name."""
    ran = latcomp("decode", lat, tmp_path / "part.mp4", "--start", "100")
    assert ran.code == 2 and "--start" in ran.err
    assert not list(tmp_path.iterdir())
