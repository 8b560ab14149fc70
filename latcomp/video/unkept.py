"""What an output cannot say of a video, one line each: for notes before anything is written."""

from collections.abc import Iterator

from latcomp.video.formats import Codec, Format
from latcomp.video.info import VideoInfo
from latcomp.video.metadata import Metadata


def lost_looks(info: VideoInfo, format: Format, codec: Codec) -> Iterator[str]:
    """Yield a line for each thing players need to show the video as it is, which this output cannot say."""
    if info.rotation_degrees and not format.holds_rotation:
        turned = f"{info.rotation_degrees} degrees"
        yield f"{format.name} holds no rotation: players will show the video without its {turned}"
    shape = info.sample_aspect_ratio
    if shape != 1 and not (format.holds_pixel_shape or codec.holds_pixel_shape):
        ratio = f"{shape.numerator}:{shape.denominator}"
        written = f"{codec.name} in {format.name} is written without the shape of its pixels"
        yield f"{written}: players will take {ratio} for square"


def lost_words(said: Metadata, format: Format, *, audio: bool) -> Iterator[str]:
    """Yield a line for what the video says in words and this output cannot."""
    names = [name for name, _ in said.tags if format.tags is not None and name not in format.tags]
    lost = (
        [f"tag{'' if len(names) == 1 else 's'} {', '.join(names[:5])}{', ...' if len(names) > 5 else ''}"]
        if names
        else []
    )
    if said.chapters and not format.holds_chapters:
        lost.append("chapters")
    if audio and said.audio and not format.holds_track_names:
        lost.append("titles and roles of audio tracks")
    if lost:
        yield f"{format.name} holds no {' and no '.join(lost)}"
