"""The out-of-process framing: what is written is read, however it is split; what is broken is refused."""

from __future__ import annotations

import contextlib
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_hyperv.errors import SessionLost
from pytest_hyperv.psrp.framing import (
    SESSION,
    Control,
    Data,
    FramingError,
    LineParser,
    Mark,
    Packet,
    Stream,
    encode,
    parse_line,
)

GUID = uuid.UUID("0e2a9f9c-6f0d-4d0e-9a58-5f5c2f5f6b11")

packets = st.one_of(
    st.builds(Data, st.uuids(), st.binary(max_size=200), st.sampled_from(Stream)),
    st.builds(Control, st.sampled_from(Mark), st.uuids()),
)


def parse(data: bytes) -> list[Packet]:
    return LineParser().feed(data)


def test_lines_are_written_as_powershell_writes_them() -> None:
    assert encode(Data(SESSION, b"\x01\x02")) == (
        b"<Data Stream='Default' PSGuid='00000000-0000-0000-0000-000000000000'>AQI=</Data>\n"
    )
    assert encode(Control(Mark.SIGNAL_ACK, GUID)) == b"<SignalAck PSGuid='0e2a9f9c-6f0d-4d0e-9a58-5f5c2f5f6b11' />\n"


@given(st.lists(packets, max_size=8), st.data())
def test_what_is_written_is_read_however_it_is_split(sent: list[Packet], data: st.DataObject) -> None:
    stream = b"".join(encode(packet) for packet in sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    parser = LineParser()
    received = [
        packet
        for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)
        for packet in parser.feed(stream[start:end])
    ]
    assert received == sent
    assert parser.incomplete == b""


@given(st.binary(max_size=300))
def test_any_bytes_are_packets_noise_or_one_clear_error(data: bytes) -> None:
    with contextlib.suppress(FramingError):
        for packet in parse(data):
            assert parse(encode(packet)) == [packet]


@given(st.binary(max_size=60), st.integers(0, 60), packets)
def test_a_damaged_line_is_never_taken_for_another_packet(damage: bytes, at: int, packet: Packet) -> None:
    line = encode(packet).rstrip(b"\n")
    damaged = line[: at % len(line)] + damage + line[at % len(line) :]
    try:
        read = parse_line(damaged)
    except FramingError:
        return
    if isinstance(read, Control):
        assert isinstance(packet, Control)
    else:
        assert isinstance(packet, Data)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"<Surprise PSGuid='%s' />" % str(GUID).encode(), "unknown element Surprise"),
        (b"<Close PSGuid='nonsense' />", "malformed line"),
        (b"<Close PSGuid='------------------------------------' />", "malformed PSGuid"),
        (b"<Data Stream='Default' PSGuid='%s'>AQI</Data>" % str(GUID).encode(), "bad base64"),
        (b"<Data Stream='Default' PSGuid='%s'>A Q I=</Data>" % str(GUID).encode(), "bad base64"),
        (b"<Data Stream='Default' PSGuid='%s'>AQI=" % str(GUID).encode(), "without its end"),
        (b"<Data Stream='Other' PSGuid='%s'>AQI=</Data>" % str(GUID).encode(), "malformed line"),
        (b"<", "malformed line"),
    ],
)
def test_a_broken_line_ends_the_session_and_says_how(line: bytes, said: str) -> None:
    with pytest.raises(FramingError, match=said):
        parse(line + b"\n")


def test_either_quotes_a_carriage_return_and_a_byte_order_mark_are_read() -> None:
    windows = b'\xef\xbb\xbf<CloseAck PSGuid="%s" />\r\n' % str(GUID).encode()
    assert parse(windows) == [Control(Mark.CLOSE_ACK, GUID)]


def test_noise_is_kept_and_skipped() -> None:
    parser = LineParser()
    assert parser.feed(b"a program\r\n\nspoke\n" + encode(Control(Mark.CLOSE_ACK, GUID))) == [
        Control(Mark.CLOSE_ACK, GUID)
    ]
    assert parser.noise == "a program\nspoke"


def test_noise_is_kept_in_bounds() -> None:
    parser = LineParser()
    parser.feed(b"x" * 5000 + b"\n" + b"line\n" * 5000)
    assert len(parser.noise) < 1000


@pytest.mark.parametrize("line", [b"noise\n", b"\n"])
def test_a_server_takes_no_noise_and_no_empty_line(line: bytes) -> None:
    with pytest.raises(FramingError, match="not the framing"):
        LineParser(noise_allowed=False).feed(line)


def test_an_error_line_of_a_direct_session_is_its_reason() -> None:
    with pytest.raises(FramingError, match=r"reported an error: access denied$"):
        parse(b"__HyperVSocketError__:access denied\r\n")


@pytest.mark.parametrize("pieces", [[b"<" + b"x" * 101], [b"<" + b"x" * 60, b"x" * 60], [b"y" * 101]])
def test_a_line_that_is_too_long_is_refused_before_it_ends(pieces: list[bytes]) -> None:
    parser = LineParser(max_line=100)
    *fitting, last = pieces
    for piece in fitting:
        assert parser.feed(piece) == []
    with pytest.raises(FramingError, match="more than 100 bytes"):
        parser.feed(last)


def test_the_error_shows_the_beginning_of_the_line_and_no_more() -> None:
    with pytest.raises(FramingError) as raised:
        parse(b"<" + b"z" * 5000 + b"\n")
    assert raised.value.line.startswith(b"<zzz")
    assert isinstance(raised.value, SessionLost)
    assert len(raised.value.message) < 600
