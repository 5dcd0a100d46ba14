"""Sizes as people write them, in bytes."""

from __future__ import annotations

import re

_UNITS = {"": 1, "B": 1, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40, "KB": 10**3, "MB": 10**6, "GB": 10**9}
_FORM = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*")


def parse_size(value: object) -> int:
    """Bytes from an int, or from text such as "512MiB" or "1.5 GiB". Raises ValueError saying what is accepted."""
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    found = _FORM.fullmatch(value) if isinstance(value, str) else None
    unit = _UNITS.get(found[2].upper()) if found else None
    size = _times(found[1], unit) if found and unit else 0
    if size <= 0:
        raise ValueError(f'{value!r} is no size: write bytes, or a number and a unit such as "512MiB" or "4GiB"')
    return size


def _times(number: str, unit: int) -> int:
    whole, _, part = number.partition(".")
    return int(whole + part) * unit // int("1" + "0" * len(part))


def parse_memory(value: object) -> int:
    """A machine's memory in bytes: a whole number of MiB from 64 MiB to 4 TiB. Raises ValueError."""
    size = parse_size(value)
    if size % 2**20 or not 2**26 <= size <= 2**42:
        raise ValueError(f"{value!r} is no memory size: a machine takes whole MiB, from 64MiB to 4TiB")
    return size
