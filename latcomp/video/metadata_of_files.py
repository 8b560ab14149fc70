"""What files say in words, read from an input and written into an output by PyAV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from latcomp.video.metadata import (
    LONGEST_TEXT,
    MOST_CHAPTERS,
    NANOSECONDS,
    Chapter,
    Metadata,
    Track,
    chapter_of,
    tags_of,
)

_CODED_AS_SHOWN = {
    "top": 2,
    "bottom": 3,
}  # FFmpeg's numbers of the two orders of fields that are coded as they are shown
_SHOWN_FIRST = {
    2: "top",
    3: "bottom",
    4: "bottom",
    5: "top",
}  # "coded top, shown bottom first" and its twin count as shown


def of_file(
    container: InputContainer, video: VideoStream, audio: Sequence[AudioStream], *, interlaced: bool
) -> Metadata:
    """Return what a file says; `interlaced`: whether its frames are left as two woven fields."""
    streams = list(audio)
    usual = [[Disposition(0)] * len(streams), [Disposition.default] + [Disposition(0)] * (len(streams) - 1)]
    roles = [Disposition(stream.disposition) & ~Disposition.attached_pic for stream in streams]
    tracks = tuple(
        Track(_title(stream.metadata), None if roles in usual else tuple(_roles(role)))
        for stream, role in zip(streams, roles, strict=True)
    )
    context = video.codec_context
    return Metadata(
        tags=tags_of(container.metadata),
        chapters=tuple(c for c in map(_file_chapter, container.chapters()[:MOST_CHAPTERS]) if c is not None),
        audio=tracks if any(track != Track() for track in tracks) else (),
        field_order=_SHOWN_FIRST.get(int(context.field_order), "top") if interlaced else None,
    )


def write_tags(container: OutputContainer, metadata: Metadata) -> None:
    """Give an output the tags and chapters; to be called before its header is written."""
    container.metadata.update(metadata.tags)
    if metadata.chapters:
        container.set_chapters(
            [
                {
                    "id": number,
                    "start": chapter.start,
                    "end": chapter.end,
                    "time_base": Fraction(1, NANOSECONDS),
                    "metadata": {"title": chapter.title} if chapter.title else {},
                }
                for number, chapter in enumerate(metadata.chapters, 1)
            ]
        )


def write_track(stream: AudioStream, track: Track) -> None:
    """Give an audio track of an output its name and roles."""
    if track.title:
        stream.metadata["title"] = track.title
    if track.roles is not None:
        stream.disposition = Disposition(sum(int(role) for role in Disposition if role.name in track.roles))


def field_order_number(order: str) -> int:
    """Return FFmpeg's number of a field order."""
    return _CODED_AS_SHOWN[order]


def _title(tags: Mapping[str, str]) -> str:
    """Return the name of a track; mp4 has it under another tag."""
    found = {name.lower(): text for name, text in tags.items()}
    return str(found.get("title") or found.get("name") or "")[:LONGEST_TEXT]


def _roles(disposition: Disposition) -> list[str]:
    return [str(role.name) for role in Disposition if role & disposition]


def _file_chapter(chapter: Mapping[str, Any]) -> Chapter | None:
    unit = Fraction(chapter["time_base"]) * NANOSECONDS
    title = {name.lower(): text for name, text in chapter["metadata"].items()}.get("title", "")
    return chapter_of({"start": round(chapter["start"] * unit), "end": round(chapter["end"] * unit), "title": title})
