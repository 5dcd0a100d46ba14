"""Accounts from the environment, the keyring and the prompt; and that no password is ever shown."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import keyring
import pytest

from pytest_hyperv.backends.hyperv.address import HostAddress
from pytest_hyperv.backends.hyperv.credentials import Credential, guest_credential, host_credential, prompt
from pytest_hyperv.errors import SettingsError
from pytest_hyperv.psrp import dotnet
from pytest_hyperv.psrp.secret import Secret
from pytest_hyperv.psrp.values import holds_secret
from tests.unit.hyperv.memory_keyring import PASSWORD as KEPT
from tests.unit.hyperv.memory_keyring import OnePassword

ROOT = Path(__file__).parents[3]
HIDDEN = "hunter2:ü@/"
ADMIN = HostAddress.parse(r"winrm://LAB\admin@hv01")
STRANGER = HostAddress.parse("winrm://stranger@hv01")


@pytest.fixture
def own_keyring() -> Iterator[None]:
    """The keyring package, with a backend that knows one password."""
    usual = keyring.get_keyring()
    keyring.set_keyring(OnePassword())  # type: ignore[no-untyped-call]
    yield
    keyring.set_keyring(usual)


def unasked(question: str) -> str:
    raise AssertionError(f"asked: {question}")


@pytest.mark.usefixtures("own_keyring")
def test_the_environment_comes_first() -> None:
    found = host_credential(ADMIN, environment={"PYTEST_HYPERV_HOST_PASSWORD": HIDDEN}, ask=unasked)
    assert (found.user, found.password.reveal()) == (r"LAB\admin", HIDDEN)
    assert "PYTEST_HYPERV_HOST_PASSWORD" in found.source


def test_the_user_may_come_from_the_environment_and_the_address_wins() -> None:
    environment = {"PYTEST_HYPERV_HOST_USER": "other", "PYTEST_HYPERV_HOST_PASSWORD": HIDDEN}
    assert host_credential(HostAddress.parse("winrm://hv01"), environment=environment).user == "other"
    assert host_credential(ADMIN, environment=environment).user == r"LAB\admin"


@pytest.mark.usefixtures("own_keyring")
def test_the_keyring_is_asked_before_a_person() -> None:
    found = host_credential(ADMIN, environment={}, ask=unasked)
    assert (found.password.reveal(), found.source) == (KEPT, "the keyring entry pytest-hyperv:hv01")


@pytest.mark.usefixtures("own_keyring")
def test_a_person_is_asked_last() -> None:
    asked: list[str] = []

    def ask(question: str) -> str:
        asked.append(question)
        return HIDDEN

    found = host_credential(STRANGER, environment={}, ask=ask)
    assert (found.user, found.password.reveal(), found.source) == ("stranger", HIDDEN, "the prompt")
    assert asked == ["Password of stranger on hv01: "]


@pytest.mark.usefixtures("own_keyring")
def test_no_password_anywhere_names_the_variable_to_set() -> None:
    with pytest.raises(SettingsError) as missing:
        host_credential(STRANGER, environment={}, ask=lambda _: "")
    assert "No password is known for stranger on hv01" in missing.value.message
    assert "PYTEST_HYPERV_HOST_PASSWORD" in missing.value.hint
    with pytest.raises(SettingsError, match="No user is known for hv01") as nobody:
        host_credential(HostAddress.parse("winrm://hv01"), environment={"PYTEST_HYPERV_HOST_PASSWORD": HIDDEN})
    assert "PYTEST_HYPERV_HOST_USER" in nobody.value.hint
    assert HIDDEN not in str(nobody.value)


@pytest.mark.parametrize("text", ["local", "ssh://tester@hv01", "winrm://hv01/?transport=certificate"])
def test_a_road_that_needs_no_password_asks_for_none(text: str) -> None:
    found = host_credential(HostAddress.parse(text), environment={"PYTEST_HYPERV_HOST_PASSWORD": HIDDEN}, ask=unasked)
    assert not found.password


def test_kerberos_uses_its_ticket_unless_there_is_a_password() -> None:
    address = HostAddress.parse("winrm://admin@hv01/?transport=kerberos")
    assert not host_credential(address, environment={}, ask=unasked).password
    told = host_credential(address, environment={"PYTEST_HYPERV_HOST_PASSWORD": HIDDEN}, ask=unasked)
    assert told.password == Secret(HIDDEN)


@pytest.mark.parametrize(
    "environment",
    [
        {"GUEST": f"LAB\\tester:{HIDDEN}"},
        {"GUEST_USER": r"LAB\tester", "GUEST_PASSWORD": HIDDEN},
        {"GUEST": "", "GUEST_USER": r"LAB\tester", "GUEST_PASSWORD": HIDDEN},
    ],
)
def test_an_image_refers_to_one_variable_or_two(environment: dict[str, str]) -> None:
    found = guest_credential("env:GUEST", "windows", environment=environment)
    assert (found.user, found.password.reveal()) == (r"LAB\tester", HIDDEN)


@pytest.mark.parametrize(
    "environment", [{}, {"GUEST": "hunter2"}, {"GUEST": ":hunter2"}, {"GUEST": "x:"}, {"GUEST_USER": "x"}]
)
def test_an_environment_that_does_not_hold_it_is_told_by_its_variables(environment: dict[str, str]) -> None:
    with pytest.raises(SettingsError) as missing:
        guest_credential("env:GUEST", "windows", environment=environment)
    assert "image windows" in missing.value.message
    assert {"GUEST", "GUEST_USER", "GUEST_PASSWORD"} <= set(re.findall(r"\w+", missing.value.hint))
    assert "hunter2" not in str(missing.value)


@pytest.mark.usefixtures("own_keyring")
def test_an_image_refers_to_the_keyring() -> None:
    found = guest_credential("keyring:lab/Administrator", "windows")
    assert (found.user, found.password.reveal()) == ("Administrator", KEPT)
    with pytest.raises(SettingsError, match="no password of Nobody for lab"):
        guest_credential("keyring:lab/Nobody", "windows")


@pytest.mark.usefixtures("own_keyring")
def test_a_locked_keyring_is_told_without_what_it_said() -> None:
    with pytest.raises(SettingsError, match="cannot be read: KeyringLocked") as locked:
        guest_credential("keyring:locked/Administrator", "windows")
    assert KEPT not in str(locked.value)
    assert locked.value.__cause__ is None


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(SettingsError) as missing:
        guest_credential("keyring:lab/Administrator", "windows")
    assert missing.value.hint == "pip install pytest-hyperv[keyring]"
    assert host_credential(ADMIN, environment={}, ask=lambda _: HIDDEN).source == "the prompt"


@pytest.mark.parametrize("reference", ["", "plain", "env:", "keyring:lab"])
def test_an_image_without_a_usable_reference_is_told_how_to_get_one(reference: str) -> None:
    with pytest.raises(SettingsError, match="does not say who logs on") as missing:
        guest_credential(reference, "windows", environment={})
    assert "images import windows DISK --replace --credentials env:NAME" in missing.value.hint


def test_a_credential_travels_as_one_that_is_encrypted_and_shows_nothing() -> None:
    credential = Credential("tester", Secret(HIDDEN), "the prompt")
    assert credential.for_wire() == dotnet.Credential("tester", Secret(HIDDEN))
    assert holds_secret(credential.for_wire())
    assert HIDDEN not in f"{credential} {credential!r} {credential.for_wire()!r}"


def test_there_is_no_prompt_where_nobody_can_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = type("Terminal", (), {"isatty": lambda _: True})()
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    monkeypatch.setattr("sys.stdin", terminal)
    assert prompt() is not None
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw0")
    assert prompt() is None
    monkeypatch.delenv("PYTEST_XDIST_WORKER")
    for nobody in (None, open(os.devnull)):  # noqa: PTH123, SIM115 - a stream that is no terminal
        monkeypatch.setattr("sys.stdin", nobody)
        assert prompt() is None


ASK = """
import os, sys
os.environ.pop("PYTEST_XDIST_WORKER", None)
from pytest_hyperv.backends.hyperv.address import HostAddress
from pytest_hyperv.backends.hyperv.credentials import host_credential
from pytest_hyperv.errors import SettingsError
try:
    found = host_credential(HostAddress.parse("winrm://nobody@nowhere.invalid"), environment={})
except SettingsError as error:
    sys.exit(error.message)
assert found.password.reveal() == sys.argv[1], "another password"
print("got it from", found.source)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals on Windows")
@pytest.mark.parametrize(
    ("typed", "told"), [(f"{HIDDEN}\n", "got it from the prompt"), ("\x04", "No password is known for nobody")]
)
def test_the_prompt_of_a_terminal_takes_a_password_unseen(typed: str, told: str) -> None:
    import pty

    leader, follower = pty.openpty()
    script = [sys.executable, "-c", ASK, HIDDEN]
    with subprocess.Popen(
        script, cwd=ROOT, stdin=follower, stdout=follower, stderr=follower, start_new_session=True
    ) as asking:
        os.close(follower)
        try:
            shown = read_until(leader, b"Password of nobody on nowhere.invalid: ")
            os.write(leader, typed.encode())
            shown += read_until(leader, told.encode())
        finally:
            asking.kill()
            os.close(leader)
    assert HIDDEN not in shown.decode()


def read_until(terminal: int, text: bytes) -> bytes:
    """What a terminal shows up to ``text``, which must come in 30 seconds."""
    shown, deadline = b"", time.monotonic() + 30
    while text not in shown:
        assert select.select([terminal], [], [], deadline - time.monotonic())[0], shown.decode()
        shown += os.read(terminal, 4096)
    return shown
