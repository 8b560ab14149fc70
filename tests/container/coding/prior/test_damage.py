"""Files under a prior: damage stays damage, whatever bytes stand there."""

from __future__ import annotations

BY = prior()
OF = under(sized(5, 7, 6), BY)
MADE = in_units(OF, groups(OF, 4))
FILES = {coding: written(OF, MADE, False, BY, coding) for coding in LAYOUTS}


def rebuilt(data: bytes, at: int, mask: bytes, tokens: bytes) -> bytes:
    """The file with other bytes as mask and tokens of one group, under right lengths and CRC-32."""
    front, found = chunks(data)
    payload = found[at][8:-4]
    head = GROUP_HEAD.unpack(payload)
    times = payload[GROUP_HEAD.size :][: head["times_bytes"]]
    found[at] = chunk(b"GRUP", GROUP_HEAD.pack(**{**head, "mask_bytes": len(mask)}) + times + mask + tokens)
    return front + b"".join(found)


def parts_of(data: bytes, at: int) -> tuple[bytes, bytes]:
    """Mask and tokens of one group."""
    payload = chunks(data)[1][at][8:-4]
    head = GROUP_HEAD.unpack(payload)
    rest = payload[GROUP_HEAD.size + head["times_bytes"] :]
    return rest[: head["mask_bytes"]], rest[head["mask_bytes"] :]


@st.composite
def damaged(draw: st.DrawFn, data: bytes) -> bytes:
    """Bytes with bits flipped, cut off, replaced by zeros, ones or anything, or longer than they were."""
    kind = draw(st.sampled_from(["flip", "cut", "zeros", "ones", "any", "longer"]))
    if kind == "flip" and data:
        found = bytearray(data)
        for _ in range(draw(st.integers(1, 4))):
            found[draw(st.integers(0, len(data) - 1))] ^= 1 << draw(st.integers(0, 7))
        return bytes(found)
    if kind == "cut":
        return data[: draw(st.integers(0, len(data)))]
    if kind in ("zeros", "ones"):
        return (b"\0" if kind == "zeros" else b"\xff") * 4 * draw(st.integers(0, 300))
    if kind == "any":
        return b"".join(draw(st.lists(st.binary(min_size=4, max_size=4), max_size=80)))
    return data + draw(st.binary(max_size=9))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_payloads_made_up(data: st.DataObject) -> None:
    """Masks and tokens of any bytes under a right CRC-32 are reported or decode to something within bounds, quickly:
    nothing else.
    """
    coding = data.draw(st.sampled_from(sorted(FILES)))
    at = data.draw(st.integers(0, 3))
    mask, tokens = parts_of(FILES[coding], at)
    which = data.draw(st.sampled_from(["mask", "tokens", "both"]))
    mask = data.draw(damaged(mask)) if which != "tokens" else mask
    tokens = data.draw(damaged(tokens)) if which != "mask" else tokens
    began = time.monotonic()
    try:
        for item in reader_under(rebuilt(FILES[coding], at, mask, tokens), BY):
            assert isinstance(item, Group | LostGroups)
            if isinstance(item, Group):
                assert item.tokens.shape == (item.mask.sum(), 6) and len(item.octaves) == len(item.tokens)
                assert not item.tokens.size or (item.tokens.min() >= SYMBOL_MIN and item.tokens.max() <= SYMBOL_MAX)
                assert not len(item.octaves) or item.octaves.max() <= 2
    except LatcompError:
        pass
    assert time.monotonic() - began < 10


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_tokens_made_up(data: st.DataObject) -> None:
    """The same for tokens alone, of any layout, whatever stands in the mask: `DamagedFileError` or tokens that can be
    written again.
    """
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    mask = rng.random((3, 5, 7)) < data.draw(st.sampled_from([0.0, 0.1, 1.0]))
    layout = data.draw(st.sampled_from([LAYOUT_PRIOR, LAYOUT_KINDS, LAYOUT_KIND_CHANGES]))
    coding = "context" if layout == LAYOUT_PRIOR else "zstd"
    of = under(sized(5, 7, 6), BY, data.draw(st.sampled_from([1, 2, 4])))
    honest = parts_of(FILES[coding], 1)[1]
    try:
        tokens, octaves = decode_tokens(layout, data.draw(damaged(honest)), mask, False, SegmentState(of, BY), 0)
    except DamagedFileError:
        return
    again = SegmentState(of, BY, coding)
    again.by_prior.first = data.draw(st.booleans())
    reading = SegmentState(of, BY)
    reading.by_prior.first = again.by_prior.first
    layout, packed = encode_tokens(tokens, octaves, mask, False, again, 0)
    found = decode_tokens(layout, packed, mask, False, reading, 0)
    assert (found[0] == tokens).all() and (found[1] == octaves).all()


def test_bytes_where_none_belong() -> None:
    """Groups that keep nothing have no bytes of tokens, and a key group of one latent frame none of a mask: others are
    damage.
    """
    nothing = np.zeros((2, 5, 7), bool)
    whole = in_units(OF, groups(OF, 1))[0]
    whole_mask, whole_tokens, whole_octaves = np.ones((1, 5, 7), bool), whole.tokens[:35], whole.octaves[:35]
    _, _, _, packed = encode_content(whole_mask, whole_tokens, whole_octaves, True, SegmentState(OF, BY), 0)
    for junk in (bytes(4), bytes(8), b"\xff" * 8, bytes(400)):
        for layout in (LAYOUT_PRIOR, LAYOUT_KINDS, LAYOUT_KIND_CHANGES):
            with pytest.raises(DamagedFileError):
                decode_tokens(layout, junk, nothing, False, SegmentState(OF, BY), 0)
        with pytest.raises(DamagedFileError, match="left over"):
            decode_content(MASK_PRIOR, junk, LAYOUT_PRIOR, packed, (1, 5, 7), 35, True, SegmentState(OF, BY), 0)
    tokens, octaves = decode_tokens(LAYOUT_PRIOR, b"", nothing, False, SegmentState(OF, BY), 0)
    assert tokens.shape == (0, 6) and octaves.shape == (0,)


def test_a_step_that_is_halved_too_often() -> None:
    """Kinds beyond what the file's units allow are damage, in every layout."""
    fine = in_units(OF, groups(OF, 1))[0]
    for units in (1, 2):
        of = under(sized(5, 7, 6), BY, units)
        for coding in LAYOUTS:
            layout, data = encode_tokens(fine.tokens, fine.octaves, fine.mask, True, SegmentState(OF, BY, coding), 0)
            with pytest.raises(DamagedFileError):
                decode_tokens(layout, data, fine.mask, True, SegmentState(of, BY), 0)


def test_masks_and_tokens_are_read_in_step() -> None:
    """A mask whose tokens are damaged, and tokens whose mask is, end as damage, as does a mask that keeps more than is
    claimed.
    """
    mask, tokens = parts_of(FILES["context"], 1)
    head = heads(FILES["context"])[1]
    state = SegmentState(OF, BY)
    for item in MADE[:1]:
        encode_content(item.mask, item.tokens, item.octaves, item.key, state, item.step_adjust)
    shape, kept = MADE[1].mask.shape, head["tokens_kept"]

    def read(
        mask: bytes, tokens: bytes, kept: int, layout: int = LAYOUT_PRIOR
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        return decode_content(
            MASK_PRIOR, mask, layout, tokens, shape, kept, False, deepcopy(state), head["step_adjust"]
        )

    found = read(mask, tokens, kept)
    assert (found[0] == MADE[1].mask).all() and (found[1] == MADE[1].tokens).all()
    for wrong in (
        (mask[4:], tokens, kept),
        (mask, tokens[4:], kept),
        (mask + bytes(8), tokens, kept),
        (mask, tokens + bytes(8), kept),
    ):
        with pytest.raises(DamagedFileError):
            read(*wrong)
    for claimed in (0, kept - 1, kept + 1):
        with pytest.raises(DamagedFileError, match="claimed"):
            read(mask, tokens, claimed)
    for layout in (LAYOUT_KINDS, LAYOUT_KIND_CHANGES):
        with pytest.raises(UnsupportedFileError):
            read(mask, tokens, kept, layout)
