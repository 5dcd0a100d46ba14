"""Sizes as people write them."""

from __future__ import annotations

import contextlib
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_hyperv.sizes import parse_memory, parse_size
from pytest_hyperv.spec import GIB, MIB

UNITS = {"": 1, "B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40, "kB": 10**3, "MB": 10**6, "GB": 10**9}


@given(number=st.integers(1, 10**30), unit=st.sampled_from(sorted(UNITS)), space=st.sampled_from(["", " ", "\t "]))
def test_a_number_and_a_unit_are_exact_however_large(number: int, unit: str, space: str) -> None:
    for text in (f"{number}{space}{unit}", f" {number}{space}{unit.lower()} ", f"{number}{space}{unit.upper()}"):
        assert parse_size(text) == number * UNITS[unit]


@given(
    whole=st.integers(0, 10**6), part=st.text("0123456789", min_size=1, max_size=12), unit=st.sampled_from(["", "GiB"])
)
def test_a_fraction_is_rounded_down_to_whole_bytes(whole: int, part: str, unit: str) -> None:
    exact = Fraction(f"{whole}.{part}") * UNITS[unit]
    if int(exact):
        assert parse_size(f"{whole}.{part}{unit}") == int(exact)
    else:
        with pytest.raises(ValueError, match="is no size"):
            parse_size(f"{whole}.{part}{unit}")


@given(st.integers(1))
def test_bytes_are_taken_as_they_are(number: int) -> None:
    assert parse_size(number) == number


WRONG = ["", "GiB", "4 giggles", "-1GiB", "+1", "1,5GiB", "1.GiB", ".5GiB", "1e9", "0x10", "0", "0GiB", "0.0", "1 G iB"]


@pytest.mark.parametrize("value", [*WRONG, 0, -1, True, False, None, 1.5, 512.0, b"1GiB", ["1GiB"]])
def test_what_is_no_size_is_refused_with_what_is_accepted(value: object) -> None:
    with pytest.raises(ValueError, match="is no size: write bytes, or a number and a unit such as") as refused:
        parse_size(value)
    assert repr(value) in str(refused.value)


@given(st.text())
def test_any_text_is_a_size_or_a_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert parse_size(text) > 0


@pytest.mark.parametrize(
    ("value", "size"),
    [("64MiB", 64 * MIB), ("1.5GiB", 1536 * MIB), (GIB, GIB), ("4TiB", 4096 * GIB), ("1024 MiB", GIB)],
)
def test_memory_is_whole_mebibytes(value: object, size: int) -> None:
    assert parse_memory(value) == size


@pytest.mark.parametrize("value", ["63MiB", "1GB", 64 * MIB + 1, "4097GiB", "1", "64.5MiB"])
def test_memory_outside_what_a_machine_takes_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="is no memory size: a machine takes whole MiB, from 64MiB to 4TiB"):
        parse_memory(value)
