"""What the library's functions are called with: every argument is looked at by its name, before anything is read."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import ParamSpec, TypeVar

from latcomp.checks import check_flag, check_path, check_source, check_target, check_text, check_whole, checked_number
from latcomp.codec.settings import check_fill
from latcomp.container import Limits
from latcomp.errors import UsageError

AMPLIFY_MOST = 255.0  # a difference of one is then black or white

Given = ParamSpec("Given")
Result = TypeVar("Result")


def checks_arguments(function: Callable[Given, Result]) -> Callable[Given, Result]:
    """Makes a function raise `UsageError` naming the argument of a wrong type or value, as `_CHECKS` has them.

    Arguments left out, and None where that is what leaving out means, are not looked at."""
    parameters = signature(function)

    @wraps(function)
    def checked(*args: Given.args, **kwargs: Given.kwargs) -> Result:
        try:
            given = parameters.bind(*args, **kwargs).arguments
        except TypeError:
            return function(*args, **kwargs)  # Python says it better
        for name, value in given.items():
            default = parameters.parameters[name].default
            if name in _CHECKS and not (value is None and default is None):
                _CHECKS[name](name, value)
        return function(*args, **kwargs)

    return checked


def _check_limits(name: str, value: object) -> None:
    if not isinstance(value, Limits):
        raise UsageError(f"{name} {value!r:.60} are no Limits: give a latcomp.container.Limits", settings=(name,))


def _check_callback(name: str, value: object) -> None:
    if not callable(value):
        raise UsageError(f"{name} {value!r:.60} cannot be called: give a function", settings=(name,))


def _check_pixels(name: str, value: object) -> None:
    check_whole(name, value, 1, "choose 1 pixel or more")


def _check_track(name: str, value: object) -> None:
    check_whole(name, value, 0, "choose the number of a video track, from 0")


def _check_count(name: str, value: object) -> None:
    check_whole(name, value, 0, "choose a number of frames, 0 for all of them")


def _check_amplify(name: str, value: object) -> None:
    checked_number(name, value, 0, AMPLIFY_MOST, f"choose more than 0 and up to {AMPLIFY_MOST:g}", above=True)


_CHECKS: dict[str, Callable[[str, object], None]] = {
    "source": check_source,
    "reference": check_source,
    "test": check_source,
    "target": check_target,
    "video": check_target,
    "tokenizer": check_path,
    "device": check_text,
    "fill": lambda _, value: check_fill(value),
    "force": check_flag,
    "audio": check_flag,
    "deinterlace": check_flag,
    "keep_going": check_flag,
    "video_track": _check_track,
    "max_pixels": _check_pixels,
    "limits": _check_limits,
    "amplify": _check_amplify,
    "st_lpips_frames": _check_count,
    "progress": _check_callback,
}
