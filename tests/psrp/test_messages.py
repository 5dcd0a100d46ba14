"""Fragments: cut and joined again they are the same messages; the texts that psrpcore leaves wrong are right."""

from __future__ import annotations

import contextlib
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_hyperv.psrp import messages
from pytest_hyperv.psrp.messages import (
    BadFragment,
    Joiner,
    Message,
    cut,
    repaired_for_reading,
    repaired_for_sending,
    typed_text,
)

PIPELINE = uuid.UUID("0e2a9f9c-6f0d-4d0e-9a58-5f5c2f5f6b11")
HEAD = (2).to_bytes(4, "little") + (0x00041004).to_bytes(4, "little") + bytes(16) + PIPELINE.bytes_le


def message(body: bytes, number: int = 1) -> Message:
    return Message(number, 0x00041004, PIPELINE, HEAD + body)


@given(st.lists(st.binary(max_size=500), max_size=6), st.integers(22, 300))
def test_messages_cut_and_joined_are_the_same(bodies: list[bytes], size: int) -> None:
    sent = [message(body, number) for number, body in enumerate(bodies)]
    payloads = cut(sent, size)
    assert all(len(payload) <= size for payload in payloads)
    joiner = Joiner()
    assert [found for payload in payloads for found in joiner.feed(payload)] == sent


def test_small_messages_share_a_payload() -> None:
    assert len(cut([message(b"a"), message(b"b", 2)])) == 1


def test_a_single_fragment_holds_the_whole_message() -> None:
    assert Joiner().feed(message(b"body").fragment) == [message(b"body")]


def test_fragments_of_two_objects_may_interleave() -> None:
    first, second = cut([message(b"x" * 100)], 80), cut([message(b"y" * 100, 2)], 80)
    joiner = Joiner()
    found = [done for pair in zip(first, second, strict=True) for payload in pair for done in joiner.feed(payload)]
    assert found == [message(b"x" * 100), message(b"y" * 100, 2)]


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (b"short", "too few for the header"),
        (message(b"body").fragment[:-1], "was announced"),
        (cut([message(b"x" * 100)], 80)[1], "fragment 0 was due"),
        (b"".join(cut([message(b"x" * 100)], 80)[::2]), "fragment 1 was due"),
        ((1).to_bytes(8, "big") + bytes(8) + b"\x03" + (1).to_bytes(4, "big") + b"x", "at least 40"),
    ],
)
def test_fragments_that_do_not_fit_are_refused(payload: bytes, said: str) -> None:
    with pytest.raises(BadFragment, match=said):
        Joiner().feed(payload)


@given(st.binary(max_size=200))
def test_any_payload_is_messages_or_one_clear_error(payload: bytes) -> None:
    with contextlib.suppress(BadFragment):
        assert all(len(message.raw) >= 40 for message in Joiner().feed(payload))


def test_an_object_beyond_all_measure_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "MAX_MESSAGE", 1000)
    joiner = Joiner()
    payloads = cut([message(bytes(2000))], 300)
    assert [joiner.feed(payload) for payload in payloads[:3]] == [[]] * 3
    with pytest.raises(BadFragment, match="larger than 1000 bytes"):
        joiner.feed(payloads[3])


def test_a_typed_text_becomes_an_element_of_its_type() -> None:
    text = typed_text("TS", "PT10S")
    sent = repaired_for_sending(message(f'<S N="V">{text}</S><S>{text}</S>'.encode()))
    assert sent.raw == HEAD + b'<TS N="V">PT10S</TS><TS>PT10S</TS>'


def test_characters_outside_xml_are_escaped_both_ways() -> None:
    sent = repaired_for_sending(message("<S>&#55552;\uffff &amp;#55552;</S>".encode()))
    assert sent.raw == HEAD + b"<S>_xD900__xFFFF_ &amp;#55552;</S>"
    read = repaired_for_reading(message("<S>&#xFFFE;&#xD;\ufffe</S>".encode()))
    assert read.raw == HEAD + b"<S>_xFFFE__x000D__xFFFE_</S>"


def test_the_head_of_a_message_is_left_alone() -> None:
    head = HEAD[:8] + b"&#55552;\xef\xbf\xbf" + HEAD[19:]
    assert repaired_for_sending(Message(1, 1, None, head + b"<S/>")).raw == head + b"<S/>"
