"""What a file says about its video in words: title, time of creation, chapters, names and roles of tracks, order of
fields.

All of it is kept where a .lat's header and an output can hold it. Nothing here changes a frame, so what makes no sense
in a header is left out, not refused. No PyAV: `metadata_of_files` reads it from files and writes it into them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

NANOSECONDS = 10**9
LONGEST_TEXT, _LONGEST_NAME, _MOST_TAGS, MOST_CHAPTERS = 4000, 100, 200, 10_000
_LATEST = 2**62  # nanoseconds
# What a container or its writer says about itself; the next one says its own.
_OF_THE_FILE = {
    "major_brand",
    "minor_version",
    "compatible_brands",
    "encoder",
    "encoded_by",
    "duration",
    "handler_name",
    "vendor_id",
    "service_name",
    "service_provider",
    "metadatacreator",
    "hasaudio",
    "hasvideo",
    "hasmetadata",
    "haskeyframes",
    "cansee",
    "canseektoend",
    "totalduration",
    "totaldatarate",
    "videodatarate",
    "audiodatarate",
    "filesize",
    "lasttimestamp",
    "lastkeyframetimestamp",
    "lastkeyframelocation",
    "datasize",
    "videosize",
    "audiosize",
    "framerate",
    "bytelength",
    "starttime",
    "timecode",
    "software",
}
FIELD_ORDERS = ("top", "bottom")
# FFmpeg's names of what a track can be for, its dispositions.
ROLES = {
    "default",
    "dub",
    "original",
    "comment",
    "lyrics",
    "karaoke",
    "forced",
    "hearing_impaired",
    "visual_impaired",
    "clean_effects",
    "attached_pic",
    "timed_thumbnails",
    "non_diegetic",
    "captions",
    "descriptions",
    "metadata",
    "dependent",
    "still_image",
    "multilayer",
}


@dataclass(frozen=True)
class Chapter:
    """One chapter, times in nanoseconds on the clock that the frames' times are of."""

    start: int
    end: int
    title: str = ""


@dataclass(frozen=True)
class Track:
    """What is said about one audio track beside its language."""

    title: str = ""
    roles: tuple[str, ...] | None = None
    """FFmpeg's names of its dispositions, such as `default` and `comment`; None: what is usual, the first track is the
    default.
    """


@dataclass(frozen=True)
class Metadata:
    """What a file says beside its streams; all empty for one that says nothing."""

    tags: tuple[tuple[str, str], ...] = ()
    """(name, text) of the file, names in lower case as FFmpeg has them: title, creation_time, comment, ..."""
    chapters: tuple[Chapter, ...] = ()
    audio: tuple[Track, ...] = ()
    """One for each audio track; empty where there is nothing to say."""
    field_order: str | None = None
    """`top` or `bottom`: the field that is shown first in frames that are woven of two; None for progressive ones."""

    def to_json(self) -> dict[str, Any] | None:
        """Return the object of a .lat header, None when there is nothing to say."""
        found: dict[str, Any] = {}
        if self.tags:
            found["tags"] = dict(self.tags)
        if self.chapters:
            found["chapters"] = [{"start": c.start, "end": c.end, "title": c.title} for c in self.chapters]
        if self.audio:
            found["audio"] = [
                ({"title": track.title} if track.title else {})
                | ({} if track.roles is None else {"roles": list(track.roles)})
                for track in self.audio
            ]
        if self.field_order is not None:
            found["field_order"] = self.field_order
        return found or None

    @classmethod
    def from_json(cls, value: Any) -> Metadata:
        """Return what an object of a .lat header says; parts that make no sense are left out."""
        if not isinstance(value, Mapping):
            return cls()
        order = value.get("field_order")
        tracks = tuple(_track(track) for track in _list(value.get("audio"))[:256])
        return cls(
            tags=tags_of(value.get("tags")),
            chapters=tuple(c for c in map(chapter_of, _list(value.get("chapters"))[:MOST_CHAPTERS]) if c is not None),
            audio=tracks if any(track != Track() for track in tracks) else (),
            field_order=order if isinstance(order, str) and order in FIELD_ORDERS else None,
        )

    def part(self, start_seconds: Fraction, end_seconds: Fraction | None) -> Metadata:
        """Return what holds for a part that is moved to time 0: chapters within it, cut to it. `end_seconds` None: to
        the end.
        """
        start = round(start_seconds * NANOSECONDS)
        end = _LATEST if end_seconds is None else round(end_seconds * NANOSECONDS)
        kept = [
            Chapter(max(c.start, start) - start, min(c.end, end) - start, c.title)
            for c in self.chapters
            if c.start < end and c.end > start
        ]
        return replace(self, chapters=tuple(kept))


def tags_of(value: Any) -> tuple[tuple[str, str], ...]:
    """Return the tags that are kept, of a mapping from names to texts."""
    if not isinstance(value, Mapping):
        return ()
    found = {
        name.lower(): text
        for name, text in value.items()
        if isinstance(name, str)
        and isinstance(text, str)
        and 0 < len(name) <= _LONGEST_NAME
        and 0 < len(text) <= LONGEST_TEXT
        and name.lower() not in _OF_THE_FILE
        and "\0" not in name + text
    }
    return tuple(list(found.items())[:_MOST_TAGS])


def chapter_of(value: Any) -> Chapter | None:
    """Return a chapter of its members by name, None where they make no sense."""
    if not isinstance(value, Mapping):
        return None
    start, end, title = value.get("start"), value.get("end"), value.get("title", "")
    if not (isinstance(start, int) and isinstance(end, int) and isinstance(title, str)):
        return None
    return Chapter(start, end, title[:LONGEST_TEXT].replace("\0", "")) if -_LATEST < start <= end < _LATEST else None


def _track(value: Any) -> Track:
    if not isinstance(value, Mapping):
        return Track()
    title, roles = value.get("title", ""), value.get("roles")
    named = (
        tuple(role for role in roles if isinstance(role, str) and role in ROLES)
        if isinstance(roles, list | tuple)
        else None
    )
    return Track(title[:LONGEST_TEXT].replace("\0", "") if isinstance(title, str) else "", named)


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []
