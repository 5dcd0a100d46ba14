"""Lengths of time as people write them, in seconds."""

from __future__ import annotations

import re

UNITS = {"s": 1, "min": 60, "m": 60, "h": 3600, "d": 86400}
_FORM = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]+)")
LONGEST = 366 * 86400.0


def parse_duration(text: str) -> float:
    """Seconds from text such as "30m", "4h" or "1.5d", up to a year. Raises ValueError saying what is accepted."""
    found = _FORM.fullmatch(text.strip().lower())
    seconds = float(found[1]) * UNITS.get(found[2], 0) if found else 0.0
    if not 0 < seconds <= LONGEST:
        raise ValueError(f'{text!r} is no length of time: write a number and s, m, h or d, such as "4h"')
    return seconds


def written(seconds: float) -> str:
    """A length of time in its largest whole unit: "4 h", "90 min"."""
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length or seconds == length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def took(seconds: float) -> str:
    """How long something took, to two places: "0.3 s", "42 s", "4 min 12 s", "2 h 5 min"."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
