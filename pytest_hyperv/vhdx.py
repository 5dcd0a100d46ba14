"""What a VHDX file says of itself, read without other programs: Windows has none that tells it to anybody.

Layout: [MS-VHDX], sections 2.2 (file type, region table) and 2.6 (metadata).
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

MAGIC = b"vhdxfile"
REGION_TABLES = (192 * 1024, 256 * 1024)
METADATA = UUID("8b7ca206-4790-4b9a-b8fe-575f050f886e")
FILE_PARAMETERS = UUID("caa16737-fa36-4d43-b3b6-33f0aa44e76b")
VIRTUAL_SIZE = UUID("2fa54224-cd1b-4876-b211-5dbed83bf4b8")
HAS_PARENT = 1 << 1
LARGEST_TABLE = 2047
"""Entries that a table can have at most."""


@dataclass(frozen=True)
class VhdxFacts:
    """``virtual_size`` is the bytes a guest sees; a differencing disk has a parent."""

    virtual_size: int
    has_parent: bool


def examine_vhdx(path: Path) -> VhdxFacts:
    """The facts of a VHDX file. Raises ValueError when it is damaged or none."""
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)

        def read(offset: int, length: int) -> bytes:
            if offset + length > end:
                raise ValueError("it is cut short")
            file.seek(offset)
            return file.read(length)

        if read(0, len(MAGIC)) != MAGIC:
            raise ValueError("it is no VHDX file")
        regions = next((found for at in REGION_TABLES if (found := _regions(read(at, 64 * 1024)))), {})
        if METADATA not in regions:
            raise ValueError("its region table is damaged")
        offset, length = regions[METADATA]
        items = _items(read(offset, min(length, 64 * 1024)))
        try:
            (flags,) = struct.unpack("<4xI", read(offset + items[FILE_PARAMETERS], 8))
            (size,) = struct.unpack("<Q", read(offset + items[VIRTUAL_SIZE], 8))
        except KeyError:
            raise ValueError("its metadata is damaged") from None
    return VhdxFacts(size, bool(flags & HAS_PARENT))


def _regions(table: bytes) -> dict[UUID, tuple[int, int]]:
    signature, count = struct.unpack_from("<4s4xI", table)
    if signature != b"regi" or count > LARGEST_TABLE:
        return {}
    entries = (struct.unpack_from("<16sQI", table, 16 + 32 * number) for number in range(count))
    return {UUID(bytes_le=ident): (offset, length) for ident, offset, length in entries}


def _items(table: bytes) -> dict[UUID, int]:
    try:
        signature, count = struct.unpack_from("<8s2xH", table)
        entries = [struct.unpack_from("<16sI", table, 32 + 32 * number) for number in range(count)]
    except struct.error:
        raise ValueError("its metadata table is damaged") from None
    if signature != b"metadata":
        raise ValueError("its metadata table is damaged")
    return {UUID(bytes_le=ident): offset for ident, offset in entries}
