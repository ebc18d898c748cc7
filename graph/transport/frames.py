"""WebSocket frames (RFC 6455, section 5.2), and the ASGI extension that writes them directly."""

WRITE_FRAME = "rungraph.frames"
"""The ASGI scope extension: a function that writes a frame at once, and returns whether it could."""

_TEXT = 0x81
"""The first byte of a text message in a single frame."""

_16_BIT_SIZE, _64_BIT_SIZE = 126, 65_536
"""Payload sizes from which the header has a length field of 16 or 64 bits."""


def text_frame(*parts: bytes) -> bytes:
    """An unmasked frame with the concatenation of `parts` as a text message."""
    size = sum(map(len, parts))
    if size < _16_BIT_SIZE:
        head = bytes((_TEXT, size))
    elif size < _64_BIT_SIZE:
        head = b"%c\x7e%b" % (_TEXT, size.to_bytes(2))
    else:
        head = b"%c\x7f%b" % (_TEXT, size.to_bytes(8))
    return b"".join((head, *parts))
