"""What was done to a machine is remembered within bounds, and told without what commands a terminal or is secret."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_hyperv.errors import CommandTimeout, GuestCrashed
from pytest_hyperv.redaction import Redactor
from pytest_hyperv.transcript import ENTRIES, HEAD, TAIL, ConsoleMark, Ends, Transcript

NOTHING = Redactor([])


def transcript_of(*outputs: bytes, secrets: tuple[str, ...] = ()) -> str:
    """The transcript of one command that wrote these pieces."""
    transcript = Transcript()
    with transcript.doing("run", "`it`") as entry:
        for piece in outputs:
            entry.take(1, piece)
        entry.end = "returned 0"
    return transcript.whole(Redactor(secrets))


@given(st.lists(st.binary(max_size=3 * TAIL), max_size=8))
def test_both_ends_of_a_stream_are_kept_however_it_comes(pieces: list[bytes]) -> None:
    ends, whole = Ends(), b"".join(pieces)
    for piece in pieces:
        ends.take(piece)
    text = ends.text(NOTHING)
    if len(whole) <= HEAD + TAIL:
        assert text == whole.decode("utf-8", "replace")
    else:
        assert text.startswith(whole[:HEAD].decode("utf-8", "replace"))
        assert text.endswith(whole[-TAIL:].decode("utf-8", "replace"))
        assert f"[{len(whole) - HEAD - TAIL} bytes left out]" in text


@given(st.binary(max_size=300))
def test_any_bytes_are_told_in_plain_text(data: bytes) -> None:
    told = transcript_of(data)
    assert not {each for each in told if ord(each) < 32 and each not in "\n\t"}
    assert "\x7f" not in told


@pytest.mark.parametrize("position", range(HEAD - 12, HEAD + 2))
def test_a_secret_at_the_cut_is_not_told_in_part(position: int) -> None:
    secret = "hunter2-correct"
    told = transcript_of(b"x" * position + secret.encode() + b"y" * 5 * TAIL, secrets=(secret,))
    assert "hunt" not in told
    told = transcript_of(b"x" * 5 * TAIL + secret.encode() + b"y" * (TAIL - HEAD + position), secrets=(secret,))
    assert "rrect" not in told


def test_only_the_last_things_are_kept() -> None:
    transcript = Transcript()
    for number in range(ENTRIES + 50):
        with transcript.doing("run", f"`{number}`"):
            pass
    told = transcript.whole(NOTHING)
    assert told.startswith("[50 earlier entries left out]")
    assert f"`{ENTRIES + 49}`" in told
    assert "`49`" not in told


def test_a_command_that_goes_the_same_way_again_and_again_takes_one_entry() -> None:
    transcript = Transcript()
    for code in (1, 1, 1, 0):
        with transcript.doing("run", "`test -e /ready`") as entry:
            entry.end = f"returned {code}"
    told = transcript.whole(NOTHING)
    assert told.count("test -e /ready") == 2
    assert ", 3 times" in told


def test_how_it_ended_is_told_and_raised() -> None:
    transcript = Transcript()
    with pytest.raises(CommandTimeout), transcript.doing("run", "`sleep`"):
        raise CommandTimeout("too slow", timeout=1)
    assert "=> CommandTimeout: too slow after " in transcript.whole(NOTHING)
    assert not transcript.crash_told


@pytest.mark.parametrize("kept", [True, False])
def test_that_a_crash_was_told_is_known_even_when_nothing_is_kept(kept: bool) -> None:
    transcript = Transcript(kept=kept)
    with pytest.raises(GuestCrashed), transcript.doing("run", "`die`"):
        raise GuestCrashed("dead")
    assert transcript.crash_told
    assert bool(transcript.whole(NOTHING)) is kept
    transcript.begin()
    assert not transcript.crash_told


def test_values_of_variables_are_not_kept_and_those_that_are_secret_are_hidden_everywhere() -> None:
    transcript = Transcript()
    with transcript.doing("run", "`env`", {"APP_TOKEN": "abcdef123", "LANG": "C.UTF-8", "N": 1}) as entry:
        entry.take(1, b"token abcdef123 in C.UTF-8")
    assert transcript.secrets == {"abcdef123"}
    assert "token *** in C.UTF-8" in transcript.whole(Redactor(transcript.secrets))


def test_a_console_is_known_again_as_long_as_its_beginning_is_there() -> None:
    mark = ConsoleMark.of("boot...\n")
    assert mark.is_beginning_of("boot...\nlogin:")
    assert not mark.is_beginning_of("oot...\nlogin:")
    assert not mark.is_beginning_of("boot")
    assert ConsoleMark().is_beginning_of("anything")
