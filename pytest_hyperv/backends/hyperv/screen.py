"""A machine's screen as a PNG, from the thumbnail that Hyper-V gives: RGB565 pixels, little-endian, row by row."""

from __future__ import annotations

import struct
import zlib
from uuid import UUID

from pytest_hyperv.backends.hyperv.host import HypervHost
from pytest_hyperv.backends.hyperv.scripts import text
from pytest_hyperv.psrp.calls import Script

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def screenshot(host: HypervHost, ident: UUID) -> bytes:
    """The screen at its own resolution. Raises CmdletError when there is none."""
    told = host.ask(Script(text("screenshot"), VMId=ident).in_local_scope()).one
    return png(int(told.Width), int(told.Height), bytes(told.Data))


def png(width: int, height: int, pixels: bytes) -> bytes:
    """RGB565 as a PNG file of 8 bits a channel (W3C PNG specification, 4 and 11.2.1)."""
    rows = bytearray()
    for row in range(height):
        rows.append(0)
        for (pixel,) in struct.iter_unpack("<H", pixels[row * width * 2 : (row + 1) * width * 2]):
            red, green, blue = pixel >> 11, pixel >> 5 & 0x3F, pixel & 0x1F
            rows += bytes((red << 3 | red >> 2, green << 2 | green >> 4, blue << 3 | blue >> 2))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return SIGNATURE + _chunk(b"IHDR", head) + _chunk(b"IDAT", zlib.compress(bytes(rows), 6)) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
