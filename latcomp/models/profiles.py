"""A tokenizer's coding profile, and what a person should know before coding with one that nothing was trained for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from latcomp.models.folders import is_complete
from latcomp.models.headers import probe_of, spec_of
from latcomp.models.public import companions, published
from latcomp.models.registry import find_lit, find_prior

if TYPE_CHECKING:
    from latcomp.latents.profile import CodingProfile

DROPPED_SHARE = 0.4
"""Steps, as a mean over channels, by which a token of a published tokenizer may be off and still be dropped: 0.25 is
what rounding alone makes of it. On a real clip of Wan 2.1 latents this keeps about half of the tokens."""


def profile_of(folder: Path) -> CodingProfile:
    """The profile beside a tokenizer's weights, else the default one. Published tokenizers have neither our own's few
    active channels nor its bits per token: theirs drops by a mean over channels, and steps do not follow the content.
    Raises `UsageError` for a file that is no profile."""
    from latcomp.latents.profile import PROFILE, CodingProfile

    place = companions(folder)
    if is_complete(folder) or published(folder) is None or (place / PROFILE).exists():
        return CodingProfile.load(place)
    return CodingProfile(dropped_changes=DROPPED_SHARE * spec_of(folder).channels, complexity_strength=0.0)


def notes_of(folder: Path) -> list[str]:
    """What a person should know who encodes with a published tokenizer, one line each; none for our own."""
    from latcomp.latents.profile import PROFILE

    if is_complete(folder) or published(folder) is None:
        return []
    made = {
        "profile": (companions(folder) / PROFILE).exists(),
        "lit": find_lit(folder) is not None,
        "prior": find_prior(folder) is not None,
    }
    missing = [name for name, there in made.items() if not there]
    found = probe_of(folder).notes
    if missing:
        gains = {
            "profile": "fitted thresholds",
            "lit": "dropped tokens painted in instead of held",
            "prior": "fewer bits",
        }
        found.append(
            f"no {', '.join(missing)} of {spec_of(folder).name} found: latcomp train {'|'.join(missing)} "
            f"--tokenizer {folder} makes them: {', '.join(gains[name] for name in missing)}"
        )
    return found
