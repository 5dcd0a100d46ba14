"""The PowerShell Direct handshake against recordings of the vendor's own code, and against itself."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_hyperv.errors import AccessDenied, HypervError, SessionLost
from pytest_hyperv.psrp.psdirect_handshake import (
    Conversation,
    Downgrade,
    Login,
    Opened,
    Token,
    broker_client,
    broker_server,
    token_client,
    token_server,
)
from pytest_hyperv.psrp.secret import Secret

RECORDING = Path(__file__).parent / "recordings" / "psdirect-handshake.json"
ORIGINAL = Path(__file__).parents[3] / "shared" / "psrp-transcripts" / RECORDING.name
CASES: dict[str, dict[str, Any]] = {row["case"]: row for row in json.loads(RECORDING.read_text("utf-8"))}
TOKEN = Token("VE9LRU4=")
GOOD_PASSWORDS = ("pä$$", "", "pw")
DELIBERATE = {
    "token server, wrong token": Token("T1RIRVI="),
    "token server, other version": None,
    "token server, no VERSION": None,
    "token server, silence": None,
}
"""Recordings whose peer behaved as no client of ours does: the other token it used, or None where its lines differ."""


def accept(login: Login) -> Token | None:
    good = login.user == "user" and login.domain in ("dom", "localhost")
    return TOKEN if good and login.password.reveal() in GOOD_PASSWORDS else None


def options(case: dict[str, Any]) -> dict[str, str]:
    """The recording's arguments, ``-name value``, as a mapping; a bare ``-legacy`` is an empty one."""
    found: dict[str, str] = {}
    for word in case["args"]:
        if word.startswith("-"):
            name = word[1:]
            found[name] = ""
        else:
            found[name] = word
    return found


def login_of(case: dict[str, Any]) -> Login:
    given = options(case)
    return Login(given["user"], Secret(given["pw"]), given["domain"], given.get("conf", ""))


def replay(ours: Conversation[Any], lines: list[tuple[str, bytes]], side: str) -> None:
    """Feed the other side's lines and compare what ours sends, line by line; the end of the lines is a close."""
    pending = ours.begin()
    for who, line in lines:
        if who == side:
            assert pending == line
            pending = b""
        else:
            assert pending == b""
            pending = ours.take(line)
    assert pending == b""
    if not ours.finished:
        assert ours.take(b"") == b""


def lines_of(name: str) -> list[tuple[str, bytes]]:
    return [(who, bytes.fromhex(line)) for who, line in CASES[name]["lines"]]


def client_for(name: str) -> Conversation[Any]:
    if name.startswith("token"):
        return token_client(DELIBERATE.get(name) or TOKEN)
    return broker_client(login_of(CASES[name]), version=1 if "legacy" in options(CASES[name]) else 2)


def server_for(name: str) -> Conversation[Any]:
    if name.startswith("token"):
        given = Token("T1RIRVI=") if name == "token client, wrong token" else TOKEN
        return token_server(given, now=float(options(CASES[name]).get("age", "0")))
    if "v1 broker" in name or name.startswith("v1"):
        return broker_server(accept, version=1, confirm=b"PASS" if "answers PASS" in name else b"CONF")
    return broker_server(accept)


def check_outcome(ours: Conversation[Any], vendor_says: str) -> None:
    """A success of the vendor's side is one of ours, "credential is invalid" is AccessDenied or a lost session."""
    if vendor_says.startswith("RESULT"):
        assert ours.result()
    else:
        with pytest.raises((AccessDenied, SessionLost)):
            ours.result()


def test_the_recording_has_all_cases() -> None:
    assert len(CASES) == 17


def test_the_copy_is_in_step_with_the_original() -> None:
    if not ORIGINAL.exists():
        pytest.skip(f"{ORIGINAL} is not on this machine")
    assert json.loads(RECORDING.read_text("utf-8")) == json.loads(ORIGINAL.read_text("utf-8"))


@pytest.mark.parametrize("name", CASES)
def test_our_client_replays(name: str) -> None:
    ours = client_for(name)
    vendor_is_client = not name.startswith("token server")
    lines = lines_of(name)
    if name in DELIBERATE and DELIBERATE[name] is None:
        said = iter((b"VERSION", b"VERSION_2", b"TOKEN VE9LRU4="))
        lines = [(who, next(said) if who == ">" else line) for who, line in lines] or [(">", b"VERSION")]
    replay(ours, lines, "<" if vendor_is_client else ">")
    check_outcome(ours, CASES[name]["vendor_says"])


@pytest.mark.parametrize("name", CASES)
def test_our_server_replays(name: str) -> None:
    ours = server_for(name)
    replay(ours, lines_of(name), "<" if name.startswith("token server") else ">")
    if name == "v2 client meets v1 broker":
        with pytest.raises(AccessDenied):
            ours.result()
    else:
        check_outcome(ours, CASES[name]["vendor_says"])


def converse(client: Conversation[Any], server: Conversation[Any]) -> None:
    """Let both sides talk until both have finished."""
    assert server.begin() == b""
    said = client.begin()
    for _ in range(20):
        answer = server.take(said) if not server.finished else b""
        if client.finished:
            break
        said = client.take(answer)
    assert client.finished
    assert server.finished


@pytest.mark.parametrize("configuration", ["", "PowerShell.7"])
@pytest.mark.parametrize("password", ["", "pä$$", "\ud800"])
@pytest.mark.parametrize("version", [1, 2])
def test_both_sides_agree_on_what_was_sent(version: int, password: str, configuration: str) -> None:
    login = Login("Zoë", Secret(password), "dom", configuration)
    client, server = broker_client(login, version=version), broker_server(lambda _: TOKEN, version=version)
    converse(client, server)
    assert client.result() == Opened(version, TOKEN if version == 2 else None)
    assert server.result().user == login.user
    assert server.result().configuration == configuration


def test_a_broker_of_version_1_ends_in_a_downgrade() -> None:
    client, server = broker_client(Login("u", Secret("p"))), broker_server(lambda _: None, version=1)
    converse(client, server)
    assert client.result() == Downgrade("'PASS'")


def test_trailing_nuls_of_a_reply_are_ignored() -> None:
    client = token_client(TOKEN)
    client.begin()
    for reply in (b"VERSION_2\0", b"PASS\0\0", b"PASS\0"):
        client.take(reply)
    assert client.result() == 2


def test_a_refused_version_names_both() -> None:
    client = token_client(TOKEN)
    client.begin()
    client.take(b"VERSION_7")
    client.take(b"FAIL")
    with pytest.raises(SessionLost, match=r"FAIL.*our version 2 \(it had announced 7\)"):
        client.result()


def test_an_unfinished_handshake_has_no_result() -> None:
    client = token_client(TOKEN)
    client.begin()
    with pytest.raises(SessionLost, match="must be finished"):
        client.result()


def test_no_password_or_token_in_any_text() -> None:
    login = Login("user", Secret("hunter2"), "dom")
    client, server = broker_client(login), broker_server(lambda _: None)
    converse(client, server)
    with pytest.raises(AccessDenied) as denied:
        client.result()
    shown = f"{login!r} {login.password} {TOKEN!r} {Opened(2, TOKEN)!r} {denied.value!s} {denied.value!r}"
    assert "hunter2" not in shown
    assert TOKEN.text not in shown
    assert r"dom\user" in shown
    assert "Hint" in shown


def test_a_reply_that_is_no_word_of_the_protocol_is_not_shown() -> None:
    client = broker_client(Login("user", Secret("x")))
    client.begin()
    client.take(b"VERSION_2")
    client.take(b"PASS")
    client.take(b"TOKEN " + TOKEN.text.encode())
    with pytest.raises(SessionLost, match="answered 14 bytes that are none of its words to the domain") as lost:
        client.result()
    assert TOKEN.text not in str(lost.value)


def test_a_password_that_comes_out_of_turn_is_not_shown() -> None:
    server = broker_server(accept)
    server.begin()
    for said in (b"VERSION", b"VERSION_2", b"d\0", b"u\0"):
        server.take(said)
    server.take("hunter2".encode("utf-16-le"))
    with pytest.raises(SessionLost, match="14 bytes that are none of its words") as lost:
        server.result()
    assert "hunter" not in str(lost.value).replace("\\x00", "")


RECEIVED = st.lists(
    st.one_of(
        st.binary(max_size=40),
        st.sampled_from([b"VERSION", b"VERSION_2", b"PASS", b"FAIL", b"CONF", b"NONEMPTYPW", b"EMPTYCF", b"TOKEN x"]),
    ),
    max_size=12,
)


@given(RECEIVED, st.sampled_from(["broker client", "legacy client", "token client", "broker", "token server"]))
def test_whatever_is_received_ends_in_a_result_or_one_of_our_errors(received: list[bytes], side: str) -> None:
    conversations: dict[str, Conversation[Any]] = {
        "broker client": broker_client(Login("user", Secret("pw"))),
        "legacy client": broker_client(Login("user", Secret("pw")), version=1),
        "token client": token_client(TOKEN),
        "broker": broker_server(lambda _: TOKEN),
        "token server": token_server(TOKEN, now=0.0),
    }
    ours = conversations[side]
    ours.begin()
    for line in [*received, *[b""] * 12]:
        if not ours.finished:
            ours.take(line)
    assert ours.finished
    with contextlib.suppress(HypervError):
        assert ours.result()
