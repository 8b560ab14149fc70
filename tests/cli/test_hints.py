"""Protects: a slip of the fingers and names in the wrong order are told in one line that says what was meant, with exit
code 2.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from .conftest import Latcomp, assert_refused

# (command line, the words that must be in the message); VIDEO and LAT exist, NEW.lat and NEW.mp4 do not
SLIPS = [
    ("encde VIDEO NEW.lat", "did you mean encode?"),
    ("bench rdd", "did you mean rd?"),
    ("help decode", "did you mean latcomp decode --help?"),
    ("VIDEO NEW.lat", "did you mean latcomp encode VIDEO NEW.lat?"),
    ("LAT", "did you mean latcomp decode LAT or latcomp stats LAT?"),
    ("encode VIDEO NEW.lat --qualty 5", "did you mean --quality?"),
    ("decode LAT NEW.mp4 --fil lit", "did you mean --fill?"),
    ("encode VIDEO NEW.lat --coding contxt", "did you mean context?"),
    ("encode VIDEO NEW.lat --reference previus", "did you mean previous?"),
    ("encode VIDEO NEW.lat --device cud", "did you mean cuda?"),
    ("decode LAT NEW.mp4 --fill hodl", "did you mean hold?"),
    ("decode LAT NEW.mp4 --fill zero", "choose auto, lit or hold"),
    ("batch DIR OUT --engine rai", "did you mean ray?"),
    ("compare VIDEO LAT --video NEW.mp4 --mode diff", "did you mean difference?"),
    ("completion bsh", "did you mean bash?"),
    ("encode LAT NEW.mp4", "did you mean latcomp decode LAT NEW.mp4?"),
    ("encode LAT -", "did you mean latcomp decode LAT -?"),
    ("encode NEW.lat VIDEO", "did you mean latcomp encode VIDEO NEW.lat?"),
    ("encode VIDEO NEW.mp4", "did you mean latcomp encode VIDEO NEW.lat?"),
    ("decode VIDEO NEW.lat", "did you mean latcomp encode VIDEO NEW.lat?"),
    ("decode NEW.mp4 LAT", "did you mean latcomp decode LAT NEW.mp4?"),
    ("encode VIDEO", "did you mean latcomp encode VIDEO"),
    ("decode LAT", "did you mean latcomp decode LAT"),
    ("batch DIR", "the output folder is missing; did you mean latcomp batch"),
    ("import DIR", " lats/?"),
    ("export DIR --as ltx", " cache/ --as ltx?"),
    ("export DIR OUT", "--as is missing: musubi, diffusion-pipe,"),
    ("train lit", "--data is missing: folder of clips"),
    ("compare VIDEO", "did you mean latcomp compare VIDEO"),
    ("encode VIDEO VIDEO2", "or latcomp batch SRC_DIR DST_DIR"),
    ("encode VIDEO VIDEO2 VIDEO", "3 videos are given; latcomp batch SRC_DIR DST_DIR"),
    ("decode LAT LAT NEW.mp4", "for f in *.lat; do latcomp decode"),
    ("decode LAT -f mkv NEW.mp4", "did you mean --format mkv?"),
    ("compare LAT VIDEO", "did you mean latcomp compare VIDEO LAT?"),
    ("compare LAT LAT", "the original comes first"),
    ("info LAT", "did you mean latcomp stats LAT?"),
    ("verify LAT", "did you mean latcomp check LAT?"),
    ("-i VIDEO NEW.lat", "did you mean latcomp encode VIDEO NEW.lat?"),
    ("-i VIDEO -o NEW.lat", "did you mean latcomp encode VIDEO NEW.lat?"),
    ("-V", "did you mean --version?"),
    ("-v", "did you mean --version?"),
    ("encode -i VIDEO NEW.lat", "the input is the first name"),
    ("encode VIDEO -o NEW.lat", "the output is the last name"),
    ("encode VIDEO NEW.lat -y", "did you mean --force?"),
    ("encode VIDEO NEW.lat -ss 1", "did you mean --start?"),
    ("encode VIDEO NEW.lat -t 1", "did you mean --duration?"),
    ("decode LAT NEW.mp4 -to 1", "--duration, which counts from --start"),
    ("encode VIDEO NEW.lat -crf 18", "did you mean --quality?"),
    ("decode LAT NEW.mp4 -crf 18", "did you mean --crf?"),
    ("encode VIDEO NEW.lat -b:v 1M", "did you mean --target-bpp?"),
    ("decode LAT NEW.mp4 -c:v libx265", "did you mean --codec?"),
    ("encode VIDEO NEW.lat -an", "did you mean --no-audio?"),
    ("encode VIDEO NEW.lat -v", "-q silences"),
    ("encode VIDEO NEW.lat -V", "latcomp --version prints the version"),
    ("encode VIDEO NEW.lat -vf scale=2:2", "ffmpeg -i IN"),
    (
        "encode https://a.example/b.mp4 NEW.lat",
        "ffmpeg -i https://a.example/b.mp4 -c copy -f matroska - | latcomp encode - OUT.lat",
    ),
    ("encode VIDEO s3://a/b.lat", "latcomp encode IN - | curl -T - s3://a/b.lat"),
    ("decode https://a.example/b.lat NEW.mp4", "curl -sS https://a.example/b.lat | latcomp decode - OUT.mp4"),
    ("decode LAT rtmp://a.example/b", "latcomp decode IN.lat - | ffmpeg -i - -c copy rtmp://a.example/b"),
    ("stats https://a.example/b.lat", "curl -sS https://a.example/b.lat | latcomp stats -"),
    ("encode file:///clip.mp4 NEW.lat", "takes file names: /clip.mp4"),
]


@pytest.mark.parametrize(("line", "hint"), SLIPS, ids=[line for line, _ in SLIPS])
def test_what_was_meant_is_said(line: str, hint: str, latcomp: Latcomp, tmp_path: Path) -> None:
    names = {
        "VIDEO": "in.mp4",
        "VIDEO2": "in2.mp4",
        "LAT": "in.lat",
        "NEW.lat": "new.lat",
        "NEW.mp4": "new.mp4",
        "DIR": ".",
        "OUT": "out",
    }
    for name in ("in.mp4", "in2.mp4", "in.lat"):
        (tmp_path / name).write_bytes(b"kept as it is")
    hint = re.sub(r"VIDEO2?|LAT|NEW\.(?:lat|mp4)", lambda found: str(tmp_path / names[found[0]]), hint)
    ran = latcomp(*[tmp_path / names[word] if word in names else word for word in line.split()])
    assert_refused(ran, 2)
    assert hint in ran.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.lat", "in.mp4", "in2.mp4"]
    assert all((tmp_path / name).read_bytes() == b"kept as it is" for name in ("in.mp4", "in2.mp4", "in.lat"))


def test_a_suggested_command_can_be_pasted(latcomp: Latcomp, tmp_path: Path) -> None:
    """Names with spaces are quoted as a shell needs them."""
    source, target = tmp_path / "my clip.lat", tmp_path / "my clip.mp4"
    source.write_bytes(b"")
    ran = latcomp("encode", source, target)
    assert_refused(ran, 2)
    suggestion = ran.err.split("did you mean ")[1].rstrip("?\n")
    assert shlex.split(suggestion) == ["latcomp", "decode", str(source), str(target)]


def test_a_name_far_from_all_known_ones_lists_them(latcomp: Latcomp) -> None:
    ran = latcomp("qqqq")
    assert_refused(ran, 2)
    assert "choose encode, decode" in ran.err


@pytest.mark.parametrize("command", ["stats", "check", "decode", "tokens"])
def test_a_video_in_the_place_of_a_lat_file_is_told_as_one(
    command: str, clip: Path, latcomp: Latcomp, tmp_path: Path
) -> None:
    """By its name, with what makes a .lat file of it; exit code 4, as for all that is no .lat file."""
    more = {"decode": [tmp_path / "out.mp4"], "tokens": [tmp_path / "out.npz"]}.get(command, [])
    ran = latcomp(command, clip, *more)
    assert_refused(ran, 4)
    assert f"{clip} is no .lat file" in ran.err and f"latcomp encode {clip} {clip.with_suffix('.lat')}" in ran.err
    assert list(tmp_path.iterdir()) == []


def test_a_lat_file_under_the_name_of_a_video_is_one(lat: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    """Names are a hint, the bytes decide."""
    (tmp_path / "odd.mp4").write_bytes(lat.read_bytes())
    assert latcomp("check", tmp_path / "odd.mp4").code == 0


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("img_%03d.png", "a series of pictures"),
        ("pictures", "pictures/*.png"),
        ("videos", "a folder of 1 video: latcomp batch"),
        ("nothing", "not a video: latcomp batch"),
    ],
)
def test_pictures_and_folders_are_told_with_what_to_do(
    source: str, words: str, latcomp: Latcomp, tmp_path: Path
) -> None:
    for name in ("pictures/1.png", "videos/1.mp4", "nothing/1.txt"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    ran = latcomp("encode", tmp_path / source, tmp_path / "out.lat")
    assert_refused(ran, 3)
    assert words in ran.err and not (tmp_path / "out.lat").exists()
