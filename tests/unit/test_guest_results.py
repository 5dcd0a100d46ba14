"""How a guest command's end explains itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_hyperv.errors import CommandFailed
from pytest_hyperv.guest import TAIL, CommandResult


def result(
    code: int = 0, stdout: bytes = b"", stderr: bytes = b"", argv: tuple[str, ...] = ("ls", "a b")
) -> CommandResult:
    """A result that took a second and a half."""
    return CommandResult(argv, code, stdout, stderr, 1.5)


@pytest.mark.parametrize(("code", "good"), [(0, True), (1, False), (137, False), (-1, False)])
def test_it_is_true_exactly_when_the_command_returned_nought(code: int, good: bool) -> None:
    assert bool(result(code)) is good


def test_a_good_one_checks_to_itself_and_a_bad_one_raises_with_everything() -> None:
    good = result(stdout=b"x")
    assert good.check() is good
    bad = result(2, b"one\ntwo\n", b"no such file\n")
    with pytest.raises(CommandFailed) as failed:
        bad.check()
    assert failed.value.result is bad
    assert str(failed.value) == ("`ls 'a b'` returned 2 after 1.50 s\nstdout:\n  one\n  two\nstderr:\n  no such file")


def test_an_assertion_shows_command_code_and_both_streams_the_errors_first() -> None:
    assert repr(result(2, b"out", b"err")) == "<`ls 'a b'` returned 2 after 1.50 s; stderr 'err'; stdout 'out'>"
    assert repr(result()) == "<`ls 'a b'` returned 0 after 1.50 s>"


def test_a_long_stream_shows_its_end_and_says_so() -> None:
    text = "".join(f"line {number}\n" for number in range(2000))
    told = result(1, text.encode()).explain()
    assert "stdout (its end):" in told
    assert told.endswith("  line 1999")
    assert len(told) < TAIL * 2
    assert len(repr(result(1, text.encode()))) < TAIL * 2


def test_a_stream_of_exactly_what_is_quoted_is_whole() -> None:
    assert "(its end)" not in result(1, b"x" * TAIL).explain()
    assert "(its end)" in result(1, b"x" * (TAIL + 1)).explain()


@given(stdout=st.binary(max_size=300), stderr=st.binary(max_size=300), argv=st.lists(st.text(), min_size=1, max_size=4))
def test_any_bytes_explain_themselves(stdout: bytes, stderr: bytes, argv: list[str]) -> None:
    bad = result(1, stdout, stderr, tuple(argv))
    assert bad.stdout.encode("utf-8", "replace") == stdout or "\ufffd" in bad.stdout
    assert "returned 1" in bad.explain()
    assert repr(bad).startswith("<`")
    with pytest.raises(CommandFailed, match="returned 1"):
        bad.check()


@given(stdout=st.binary(max_size=500), stderr=st.binary(max_size=500), argv=st.lists(st.text(), min_size=1, max_size=9))
def test_its_repr_is_short_enough_for_pytest_to_leave_it_whole_and_in_one_line(
    stdout: bytes, stderr: bytes, argv: list[str]
) -> None:
    shown = repr(result(1, stdout, stderr, tuple(argv)))
    assert len(shown) <= 240
    assert "\n" not in shown


@given(stdout=st.binary(max_size=300))
def test_what_it_explains_commands_no_terminal(stdout: bytes) -> None:
    told = result(1, stdout + b"\x1b[2J\x9b\x07", b"\x1b]0;x\x07").explain()
    assert not {each for each in told if ord(each) < 32 and each not in "\n\t"}


def test_output_without_end_is_explained_without_reading_all_of_it() -> None:
    import tracemalloc

    big = result(1, b"x" * 40_000_000)
    tracemalloc.start()
    assert "stdout (its end):" in big.explain()
    assert "stdout ...'" in repr(big)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000
