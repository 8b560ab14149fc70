"""Small files under a prior, and their groups taken apart and put together again."""

from __future__ import annotations

from latcomp.container.format import GROUP_HEAD, LAYOUT_MODE_CHANGES, LAYOUT_MODES, LAYOUT_PRIOR
from tests.container.make import groups, in_units, prior, sized, under, written
from tests.container.test_damage import chunks
from tests.container.test_hostile import chunk

LAYOUTS = {"context": {LAYOUT_PRIOR}, "zstd": {LAYOUT_MODES, LAYOUT_MODE_CHANGES}}
BY = prior()
OF = under(sized(5, 7, 6), BY)
MADE = in_units(OF, groups(OF, 4))
FILES = {coding: written(OF, MADE, False, BY, coding) for coding in LAYOUTS}


def heads(data: bytes) -> list[dict[str, int]]:
    """The head of every group."""
    return [GROUP_HEAD.unpack(found, 8) for found in chunks(data)[1] if found[:4] == b"GRUP"]


def parts_of(data: bytes, at: int) -> tuple[bytes, bytes]:
    """Mask and tokens of one group."""
    payload = chunks(data)[1][at][8:-4]
    head = GROUP_HEAD.unpack(payload)
    rest = payload[GROUP_HEAD.size + head["times_bytes"] :]
    return rest[: head["mask_bytes"]], rest[head["mask_bytes"] :]


def rebuilt(data: bytes, at: int, mask: bytes, tokens: bytes) -> bytes:
    """The file with other bytes as mask and tokens of one group, under right lengths and CRC-32."""
    front, found = chunks(data)
    payload = found[at][8:-4]
    head = GROUP_HEAD.unpack(payload)
    times = payload[GROUP_HEAD.size :][: head["times_bytes"]]
    found[at] = chunk(b"GRUP", GROUP_HEAD.pack(**{**head, "mask_bytes": len(mask)}) + times + mask + tokens)
    return front + b"".join(found)
