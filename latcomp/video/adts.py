"""AAC as transport streams carry it (ADTS): a head with the codec's parameters before each packet, which other
containers do not want.

Matroska and avi cannot be begun without the parameters, and FFmpeg's own conversion has them only after the first
packet."""

_HEAD_BYTES = 7
_CHECKED_HEAD_BYTES = 9  # with a CRC


def parameters(packet: bytes) -> bytes | None:
    """Return the codec's parameters (an MPEG-4 AudioSpecificConfig of 2 bytes) from a packet's head; None when it has
    none.
    """
    channels = (packet[2] & 1) << 2 | packet[3] >> 6 if _has_head(packet) else 0
    if channels == 0:  # said inside the audio only
        return None
    object_type = (packet[2] >> 6) + 1
    rate_index = packet[2] >> 2 & 15
    return (object_type << 11 | rate_index << 7 | channels << 3).to_bytes(2, "big")


def without_head(packet: bytes) -> bytes:
    """Return the packet as containers with parameters of their own hold it; one without a head comes back as it is."""
    if not _has_head(packet):
        return packet
    return packet[_HEAD_BYTES if packet[1] & 1 else _CHECKED_HEAD_BYTES :]


def _has_head(packet: bytes) -> bool:
    """Tell whether a packet begins with the head of one AAC frame that ends where the packet does."""
    if len(packet) < _CHECKED_HEAD_BYTES or packet[0] != 0xFF or packet[1] & 0xF6 != 0xF0 or packet[6] & 3:
        return False
    return (packet[3] & 3) << 11 | packet[4] << 3 | packet[5] >> 5 == len(packet)
