"""Nothing that a guest says commands a terminal."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_hyperv.plain_text import last_lines, one_line, plain

HOSTILE = st.text(st.characters()) | st.text(st.sampled_from("\x1b[2J\x9b31m\r\n\t\x07\x00\x7f\u202e\u2028\ud800ab"))


def commands(text: str) -> set[str]:
    """The characters of ``text`` that do something."""
    return {each for each in text if unicodedata.category(each) in ("Cc", "Cs", "Zl", "Zp") and each not in "\n\t"}


@given(HOSTILE)
def test_no_control_character_is_left(text: str) -> None:
    assert commands(plain(text)) == set()
    plain(text).encode("utf-8")


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"])))
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert plain(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [("\x1b[31mred", "\\x1b[31mred"), ("a\r\nb", "a\nb"), ("a\rb", "a\\x0db"), ("\u202egpj.exe", "\\u202egpj.exe")],
)
def test_what_is_taken_out_is_seen(text: str, shown: str) -> None:
    assert plain(text) == shown


@given(HOSTILE, st.integers(10, 60))
def test_one_line_is_one_line_that_fits(text: str, limit: int) -> None:
    line = one_line(text, limit)
    assert len(line) <= limit
    assert "\n" not in line
    assert commands(line) == set()


@given(HOSTILE, st.integers(1, 4))
def test_the_last_lines_are_as_many_as_asked_for(text: str, count: int) -> None:
    lines = last_lines(text, count, 40)
    assert len(lines) <= count
    assert all(len(line) <= 40 and commands(line) == set() for line in lines)
