"""The page is whole HTML that refers to nothing outside, and shows the frames and masks that it says it shows."""

from __future__ import annotations

import base64
import io
import json
import re
import zlib
from dataclasses import replace
from html.parser import HTMLParser

import av
import numpy as np
import pytest

from latcomp.container import Writer
from latcomp.latents import Box
from latcomp.report.pictures import FRAMES_MOST, PATH_MOST, JpegMaker, Shelf, Shown, ShownWorld, picture_size
from tests.container.make import groups, header, sized, written
from tests.report.make import collected, page, panned, seen_at

EMPTY = {"meta", "link", "input", "br", "path"}


class Checker(HTMLParser):
    """Fails on elements that are not closed in order; gathers attributes that could load something."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.data = ""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag not in EMPTY:
            self.open.append(tag)
        self.addresses += [
            value or "" for name, value in attributes if name in ("src", "href", "data", "poster", "action")
        ]

    def handle_endtag(self, tag: str) -> None:
        if tag not in EMPTY:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script" and data.lstrip().startswith("{"):
            self.data = data


def checked(text: str) -> Checker:
    checker = Checker()
    checker.feed(text)
    checker.close()
    assert checker.open == []
    return checker


def data_of(text: str) -> dict:
    return json.loads(checked(text).data)


def plane_of(plane: dict) -> tuple[Box, np.ndarray]:
    """(its box, (rows, columns) of it)."""
    box = Box(*plane["box"])
    return box, np.frombuffer(zlib.decompress(base64.b64decode(plane["data"])), np.uint8).reshape(box.shape)


def test_the_page_is_whole_and_refers_to_nothing_outside() -> None:
    of = header(lit={"name": "lit", "sha256": "cd" * 32})
    text = page(written(of, groups(of, 4)))
    assert text.startswith("<!doctype html>")
    assert "{{" not in text
    assert (
        re.search(r"https?://|//[a-z]+\.[a-z]|@import|url\(", re.sub(r'"[\w+/=]{60,}"|base64,[\w+/=]*', "", text))
        is None
    )
    assert set(checked(text).addresses) == {"data:,"}
    assert "default-src 'none'" in text
    for word in ("tokens kept", "bits per pixel", "50x40", "all frames", "2 segments, 4 groups"):
        assert word in text


def test_frames_and_masks_are_those_of_the_file() -> None:
    of = header()
    made = groups(of, 3, last_frames=30)
    data = data_of(page(written(of, made)))
    assert [frame["frame"] for frame in data["frames"]] == list(range(94))
    assert [frame["seconds"] for frame in data["frames"]] == [round(number / 25, 6) for number in range(94)]
    assert data["size"] == [50, 40] and data["spatial"] == 8 and data["picture"] == [50, 40]
    assert not data["camera"]
    masks = np.concatenate([group.mask for group in made])
    for frame in data["frames"]:
        latent_frame = frame["frame"] // 4
        assert (frame["latent_frame"], frame["group"]) == (latent_frame, frame["frame"] // 32)
        assert frame["kept"] == masks[latent_frame].sum()
        assert (frame["offset"], frame["world"], frame["positions"]) == ([0, 0], 0, 35)
        box, age = plane_of(data["ages"][str(latent_frame)])
        assert box == Box(0, 0, 5, 7)
        assert ((age == 0) == masks[latent_frame]).all()
        if latent_frame:
            earlier = masks[latent_frame - 1]
            assert (age[earlier & ~masks[latent_frame]] == 1).all()
        picture = base64.b64decode(frame["picture"].removeprefix("data:image/jpeg;base64,"))
        assert picture.startswith(b"\xff\xd8\xff")
    assert set(data["ages"]) == {str(number) for number in range(24)}
    (world,) = data["worlds"].values()
    box, share = plane_of(world["share"])
    assert box == Box(0, 0, 5, 7) and (share == np.rint(255 * masks.mean(0))).all()
    assert [step[2] for step in data["kept"]] == pytest.approx([mask.mean() for mask in masks], abs=1e-5)
    assert [step[0] for step in data["kept"][1:]] == [step[1] for step in data["kept"][:-1]]
    assert len(data["bits"]) == 3 and set(data["groups"]) == {"0", "1", "2"}


def test_masks_of_a_moving_camera_lie_where_the_world_has_them() -> None:
    """Each frame with its offset, the ages of its box, and the world it lies in; a segment that stands still has the
    frame's own grid."""
    of = header(requires=("camera",))
    moving, still = panned(of, [None, (0, 3), (2, -1)]), panned(of, [None])[0]
    made = [*moving, replace(still, index=3, first_frame=24, pts=still.pts + 512 * 24)]
    text = page(written(of, made))
    data = data_of(text)
    assert data["camera"] and "pixels" in text
    for frame in data["frames"]:
        group, place = made[frame["frame"] // 8], frame["frame"] % 8
        view = group.view.frames[place // 4]
        assert frame["offset"] == ([0, 0] if group.offsets is None else group.offsets[place].tolist())
        assert frame["world"] == (0 if group.index < 3 else 1) and frame["positions"] == view.count
        assert frame["kept"] == group.view.take(group.mask, place // 4).sum()
        box, age = plane_of(data["ages"][str(frame["latent_frame"])])
        assert box == view.box
        if group.index < 3:
            assert seen_at(moving, group, place // 4)[0] == box
        assert ((age == 0) == group.view.part(group.mask, place // 4)).all()
    box, share = plane_of(data["worlds"]["0"]["share"])
    assert box == Box.around(group.view.window for group in moving)
    assert share.any() and data["worlds"]["1"]["share"]["box"] == [0, 0, 5, 7]
    path = data["worlds"]["0"]["path"]
    assert path == [[frame["frame"], *frame["offset"]] for frame in data["frames"][:24]]
    visible = [sum(view.count for view in group.view.frames) for group in made]
    assert data["kept"][0][2] == 1.0 and len(data["kept"]) == 8
    assert sum(visible) == sum(frame["positions"] for frame in data["frames"][::4])


def test_long_files_show_every_nth_frame_and_say_so() -> None:
    of = sized(1, 1, 1)
    count = 9  # 288 frames
    text = page(written(of, groups(of, count)))
    data = data_of(text)
    assert [frame["frame"] for frame in data["frames"]] == list(range(0, 32 * count, 2))
    assert f"every 2nd, 144 of {32 * count} frames" in text
    assert f"at most {FRAMES_MOST} frames" in text


def test_frames_may_be_missing_at_the_end() -> None:
    """A video that ends early, or gives nothing: masks and curves are those of the whole file."""
    of = header()
    lat = written(of, groups(of, 2))
    text = page(lat, most_frames=20)
    assert len(data_of(text)["frames"]) == 20 and "20 of 64 frames" in text
    text = page(lat, most_frames=0)
    data = data_of(text)
    assert data["frames"] == [] and len(data["kept"]) == 16 and "none could be shown" in text


def test_files_without_groups_have_a_page() -> None:
    out = io.BytesIO()
    Writer(out, header(average_rate=None)).close()
    data = data_of(page(out.getvalue()))
    assert data["frames"] == data["kept"] == data["bits"] == []


def test_damage_is_shown() -> None:
    of = header()
    text = page(written(of, groups(of, 3))[:-70])
    assert "Damaged: " in text and "cut off" in text


def test_names_cannot_become_markup() -> None:
    """Neither the file's name nor what its header says."""
    bad = '</script><script>alert(1)</script>{{js}}&"'
    tokenizer = {"name": bad, "sha256": "ab" * 32, "channels": 6, "spatial": 8, "temporal": 4}
    of = header(tokenizer=tokenizer)
    text = page(written(of, groups(of, 1)), name=bad)
    checked(text)
    assert text.count("<script") == 2 and "alert(1)</script>" not in text
    assert "{{js}}" in text  # as it was written: a name is no place for the page's parts


@pytest.mark.parametrize(
    ("size", "aspect", "expected"),
    [
        ((1920, 1080), (1, 1), (640, 360)),
        ((1080, 1920), (1, 1), (360, 640)),
        ((64, 48), (1, 1), (64, 48)),
        ((63, 47), (0, 1), (64, 48)),
        ((720, 576), (16, 11), (640, 352)),
        ((1, 1), (1, 1), (2, 2)),
        ((8000, 2), (1, 1), (640, 2)),
    ],
)
def test_picture_sizes(size: tuple[int, int], aspect: tuple[int, int], expected: tuple[int, int]) -> None:
    assert picture_size(*size, aspect) == expected


def test_pictures_have_the_colours_of_the_frame() -> None:
    pixels = np.full((90, 160, 3), (200, 60, 20), np.uint8)
    with av.open(io.BytesIO(JpegMaker((80, 46))(pixels)), format="mjpeg") as file:
        (frame,) = file.decode(video=0)
        found = frame.to_ndarray(format="rgb24")
    assert found.shape == (46, 80, 3)
    assert np.abs(found.reshape(-1, 3).mean(0) - (200, 60, 20)).max() < 4


def test_a_shelf_never_holds_more_than_fits() -> None:
    """By count and by bytes; what is left is every n-th frame from the first on."""
    box, age = Box(0, 0, 4, 4), np.zeros((4, 4), np.uint8)
    shelf = Shelf(1, frames_most=10, bytes_most=10**6)
    for number in range(100):
        if shelf.wants(number):
            shelf.put(Shown(number, number / 25, number // 4, 0, 1, b"x" * 100), box, age)
        assert len(shelf.frames) <= 10
    assert [one.frame for one in shelf.frames] == list(range(0, 100, 16)) and shelf.every == 16
    assert set(shelf.ages) == {one.latent_frame for one in shelf.frames}
    shelf = Shelf(1, bytes_most=5000)
    for number in range(100):
        if shelf.wants(number):
            shelf.put(Shown(number, number / 25, number // 4, 0, 1, b"x" * 600), box, age)
        assert shelf.characters <= 5000
    assert 3 <= len(shelf.frames) <= 6
    assert Shelf.for_frames(0).every == Shelf.for_frames(FRAMES_MOST).every == 1
    assert Shelf.for_frames(FRAMES_MOST + 1).every == 2


def test_a_shelf_holds_the_worlds_of_its_frames_alone() -> None:
    """They count, and a world whose frames are all left out goes with them; a long path is thinned."""
    box, share = Box(0, 0, 4, 4), np.zeros((4, 4), np.uint8)
    long = ShownWorld.of(box, share, [(frame, (0, frame)) for frame in range(1000)])
    assert len(long.path) <= PATH_MOST + 1 and (long.path[0], long.path[-1]) == ((0, 0, 0), (999, 0, 999))
    shelf = Shelf(1, frames_most=4)
    for number in range(8):
        if shelf.wants(number):
            shelf.put(Shown(number, 0.0, number, 0, 1, b"x", world=number), box, share)
        before = shelf.characters
        shelf.put_world(number, long)
        assert (shelf.characters > before) == (number % shelf.every == 0)
    assert set(shelf.worlds) == {one.world for one in shelf.frames} == {0, 2, 4, 6}


def test_kept_tokens_are_counted_over_groups() -> None:
    of = header()
    made = groups(of, 2)
    _, found = collected(written(of, made))
    assert found.history.kept == [int(mask.sum()) for group in made for mask in group.mask]
