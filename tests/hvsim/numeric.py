"""Numbers out of text and out of other numbers, with the messages of .NET."""

from __future__ import annotations

import re
from decimal import ROUND_HALF_EVEN, Decimal

MULTIPLIERS = {"": 1, "kb": 2**10, "mb": 2**20, "gb": 2**30, "tb": 2**40, "pb": 2**50}
NUMBER = re.compile(
    r"(?P<sign>[+-]?)(?:0x(?P<hex>[0-9a-f]+)|(?P<decimal>(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?))(?P<unit>[kmgtp]b|)",
    re.IGNORECASE,
)


class CastFailure(Exception):
    """Why a number has no counterpart of the type asked for."""


def number_from_text(text: str, kind: str, limits: range | None) -> int | float:
    """The number that `text` is in PowerShell's notation: decimal, hexadecimal, with kb, mb, gb, tb or pb after it."""
    stripped = text.strip()
    if not stripped:
        return 0 if limits is not None else 0.0
    found = NUMBER.fullmatch(stripped)
    if found is None:
        raise CastFailure(f"The input string '{text}' was not in a correct format.")
    amount = Decimal(int(found["hex"], 16)) if found["hex"] else Decimal(found["decimal"])
    amount *= MULTIPLIERS[found["unit"].lower()]
    return _within(-amount if found["sign"] == "-" else amount, kind, limits)


def number_from(value: float, kind: str, limits: range | None) -> int | float:
    """A number or truth value as the type `kind`, rounded to even and kept within `limits`."""
    if limits is not None and isinstance(value, float) and not -1e30 < value < 1e30:
        raise _too_large(kind)
    return _within(Decimal(value), kind, limits)


def _within(amount: Decimal, kind: str, limits: range | None) -> int | float:
    if limits is None:
        return float(amount)
    number = int(amount.to_integral_value(ROUND_HALF_EVEN))
    if number not in limits:
        raise _too_large(kind)
    return number


def _too_large(kind: str) -> CastFailure:
    if kind == "Byte":
        return CastFailure("Value was either too large or too small for an unsigned byte.")
    article = "an" if kind.startswith("Int") else "a"
    return CastFailure(f"Value was either too large or too small for {article} {kind}.")
