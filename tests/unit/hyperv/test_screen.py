"""Screens: what a decoder written after the PNG specification sees in the file."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import pytest

from pytest_hyperv.backends.hyperv.screen import png

Pixel = tuple[int, int, int]


def chunks(file: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and data of each chunk, its checksum compared."""
    assert file[:8] == bytes((137, 80, 78, 71, 13, 10, 26, 10))
    at = 8
    while at < len(file):
        (length,) = struct.unpack_from(">I", file, at)
        body = file[at + 4 : at + 8 + length]
        assert struct.unpack_from(">I", file, at + 8 + length) == (zlib.crc32(body),)
        yield body[:4], body[4:]
        at += 12 + length


def rows(file: bytes) -> list[list[Pixel]]:
    """The pixels of a PNG of 8 bits a channel, RGB, not interlaced, whose rows have the filter None."""
    found = list(chunks(file))
    assert [kind for kind, _ in found] == [b"IHDR", b"IDAT", b"IEND"]
    width, height, *rest = struct.unpack(">IIBBBBB", found[0][1])
    assert rest == [8, 2, 0, 0, 0]
    assert found[2][1] == b""
    data = zlib.decompress(found[1][1])
    assert len(data) == height * (1 + 3 * width)
    lines = [data[at : at + 1 + 3 * width] for at in range(0, len(data), 1 + 3 * width)]
    assert {line[0] for line in lines} <= {0}
    return [[(line[at], line[at + 1], line[at + 2]) for at in range(1, len(line), 3)] for line in lines]


def rgb565(red: int, green: int, blue: int) -> bytes:
    """A pixel of 5, 6 and 5 bits, little-endian."""
    return (red * 2**11 + green * 2**5 + blue).to_bytes(2, "little")


@pytest.mark.parametrize(
    ("pixel", "seen"),
    [
        ((0, 0, 0), (0, 0, 0)),
        ((31, 63, 31), (255, 255, 255)),
        ((31, 0, 0), (255, 0, 0)),
        ((0, 63, 0), (0, 255, 0)),
        ((0, 0, 31), (0, 0, 255)),
        ((1, 0, 0), (8, 0, 0)),
        ((0, 1, 0), (0, 4, 0)),
        ((0, 0, 1), (0, 0, 8)),
        ((16, 32, 16), (132, 130, 132)),
    ],
)
def test_the_extremes_of_a_channel_are_those_of_the_picture(pixel: Pixel, seen: Pixel) -> None:
    assert rows(png(1, 1, rgb565(*pixel))) == [[seen]]


def test_every_value_of_a_channel_is_the_nearest_of_eight_bits() -> None:
    reds = rows(png(32, 1, b"".join(rgb565(value, 0, 0) for value in range(32))))[0]
    greens = rows(png(64, 1, b"".join(rgb565(0, value, 0) for value in range(64))))[0]
    assert all(abs(red - value * 255 / 31) < 1 for value, (red, _, _) in enumerate(reds))
    assert all(abs(green - value * 255 / 63) < 1 for value, (_, green, _) in enumerate(greens))


def test_pixels_stay_in_their_rows_and_columns() -> None:
    red, green, blue = rgb565(31, 0, 0), rgb565(0, 63, 0), rgb565(0, 0, 31)
    picture = rows(png(3, 2, red + green + blue + blue + red + green))
    assert picture == [
        [(255, 0, 0), (0, 255, 0), (0, 0, 255)],
        [(0, 0, 255), (255, 0, 0), (0, 255, 0)],
    ]


def test_a_screen_of_real_size_is_drawn() -> None:
    picture = rows(png(1024, 768, rgb565(0, 32, 16) * (1024 * 768)))
    assert len(picture) == 768
    assert {pixel for row in picture for pixel in row} == {(0, 130, 132)}
