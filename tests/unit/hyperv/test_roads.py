"""Sessions on hosts: a process here, through WinRM and through SSH, each with the test peer as its PowerShell."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from pytest_hyperv.backends.hyperv import roads
from pytest_hyperv.backends.hyperv.address import HostAddress
from pytest_hyperv.backends.hyperv.credentials import Credential, host_credential
from pytest_hyperv.backends.hyperv.roads import HostRoad, local_program, open_host_session, program
from pytest_hyperv.errors import AccessDenied, CapabilityMissing, CmdletError, HostUnreachable, SettingsError
from pytest_hyperv.psrp.calls import Command
from pytest_hyperv.psrp.secret import Secret
from pytest_hyperv.psrp.starting import WINDOWS_POWERSHELL
from tests.psrp.roads import PROJECT, peer_argv
from tests.psrp.winrm_endpoint import PASSWORD, USER, Endpoint, Plan, running
from tests.psrp.winrm_fixtures import certificate as certificate

LOCAL = HostAddress()
FAR = HostAddress.parse("ssh://tester@hv01:2222")
HIDDEN = "hunter2"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the stand-ins are shell scripts")


@pytest.fixture(autouse=True)
def windows_powershell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTEST_HYPERV_POWERSHELL", raising=False)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all of PATH, beside that of the system."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


def install(folder: Path, name: str, text: str) -> None:
    """A shell script as a program on PATH. It writes its arguments down, one a line, and does ``text``."""
    path = folder / name
    path.write_text(f'#!/bin/sh\nprintf "%s\\n" "$0" "$@" >> {shlex.quote(str(folder / name))}.called\n{text}\n')
    path.chmod(0o755)


def calls(folder: Path, name: str) -> list[list[str]]:
    """The arguments of each call of a program, without its name."""
    text = (folder / f"{name}.called").read_text()
    return [call.splitlines() for call in text.split(f"{folder / name}\n")[1:]]


PEER = f"cd {shlex.quote(str(PROJECT))}; exec {shlex.join(peer_argv())}"
SSH = f"""
while [ "$1" != -- ]; do shift; done
shift 2
cd {shlex.quote(str(PROJECT))}; exec sh -c "$*"
"""
"""What sshd does with the words after the host: its shell runs them as one line."""


def talks(address: HostAddress, credential: Credential | None = None, **options: int) -> str:
    """Open a session, use it and close it; the host that it names in errors."""
    credential = credential or roads.NOBODY
    with open_host_session(address, credential, timeout=20, **options) as session:
        assert session.call(Command("Write-Output", InputObject="there")).one == "there"
        with pytest.raises(CmdletError) as failed:
            session.call(Command("No-SuchThing"))
        assert failed.value.host == session.host
        return session.host


def test_this_machine_is_reached_by_its_powershell(programs: Path) -> None:
    install(programs, "powershell.exe", PEER)
    assert talks(LOCAL) == "local"
    assert calls(programs, "powershell.exe") == [["-NoLogo", "-NoProfile", "-s"]]


def test_one_that_dies_at_its_start_is_started_again(programs: Path, tmp_path: Path) -> None:
    dies = f"[ -e {tmp_path}/died ] || {{ touch {tmp_path}/died; echo access violation >&2; exit 5; }}\n"
    install(programs, "powershell.exe", dies + PEER)
    assert talks(LOCAL) == "local"
    assert len(calls(programs, "powershell.exe")) == 2


def test_one_that_always_dies_makes_the_host_unreachable_and_says_why(programs: Path) -> None:
    install(programs, "powershell.exe", "echo no memory left >&2; exit 5")
    before = psutil.Process().children()
    with pytest.raises(HostUnreachable, match="no memory left") as gone:
        open_host_session(LOCAL, timeout=20)
    assert gone.value.host == "local"
    assert "PYTEST_HYPERV_POWERSHELL" in gone.value.hint
    assert [child for child in psutil.Process().children() if child not in before] == []


def test_another_program_is_named_by_the_environment(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(programs, "engine", PEER)
    monkeypatch.setenv("PYTEST_HYPERV_POWERSHELL", "engine -s  'two words' # no comment")
    assert talks(LOCAL) == "local"
    assert calls(programs, "engine") == [["-s", "two words", "#", "no", "comment"]]


def test_a_program_is_split_at_blanks_and_keeps_its_backslashes() -> None:
    assert program({}) == WINDOWS_POWERSHELL
    assert program({"PYTEST_HYPERV_POWERSHELL": "  "}) == WINDOWS_POWERSHELL
    text = r'"C:\Program Files\PowerShell\7\pwsh.exe" -NoLogo -s'
    told = program({"PYTEST_HYPERV_POWERSHELL": text})
    assert told == (r"C:\Program Files\PowerShell\7\pwsh.exe", "-NoLogo", "-s")
    with pytest.raises(SettingsError, match="quote that is not closed"):
        program({"PYTEST_HYPERV_POWERSHELL": "pwsh 'x"})


@pytest.mark.usefixtures("programs")
def test_a_linux_without_windows_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.release", lambda: "6.1.0-18-amd64")
    with pytest.raises(CapabilityMissing, match=r"no Hyper-V host.*inside WSL") as nowhere:
        open_host_session(LOCAL)
    assert nowhere.value.missing == {"backend hyperv": nowhere.value.message}
    assert "--hyperv-host winrm://user@host" in nowhere.value.hint


@pytest.mark.usefixtures("programs")
def test_a_wsl_without_interop_is_told_apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("platform.release", lambda: "5.15.153.1-microsoft-standard-WSL2")
    monkeypatch.setattr(roads, "WSL_POWERSHELL", tmp_path / "powershell.exe")
    with pytest.raises(HostUnreachable, match="interop with Windows is switched off") as nowhere:
        local_program()
    assert "/etc/wsl.conf" in nowhere.value.hint
    (tmp_path / "powershell.exe").touch()
    assert local_program() == (str(tmp_path / "powershell.exe"), *WINDOWS_POWERSHELL[1:])


@pytest.mark.usefixtures("programs")
def test_a_program_that_is_not_there_is_told_with_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_HYPERV_POWERSHELL", "no-such-engine -s")
    with pytest.raises(HostUnreachable, match="no program no-such-engine, which PYTEST_HYPERV_POWERSHELL names"):
        open_host_session(LOCAL)


# -- SSH


def test_ssh_carries_a_session_and_never_asks(programs: Path) -> None:
    install(programs, "ssh", SSH)
    install(programs, "powershell.exe", PEER)
    assert talks(FAR) == "hv01"
    assert calls(programs, "powershell.exe") == [["-NoLogo", "-NoProfile", "-s"]]
    (words,) = calls(programs, "ssh")
    assert words[-6:] == ["2222", "-l", "tester", "--", "hv01", "powershell.exe -NoLogo -NoProfile -s"]
    options = [words[place + 1] for place, word in enumerate(words) if word == "-o"]
    assert {"BatchMode=yes", "ServerAliveInterval=15", "ServerAliveCountMax=4"} <= set(options)
    assert "-T" in words


def test_a_user_or_host_cannot_be_an_option_of_ssh(programs: Path) -> None:
    install(programs, "ssh", SSH)
    for address in (HostAddress("ssh", "hv01", "-oProxyCommand=id"), HostAddress("ssh", "-oProxyCommand=id")):
        with pytest.raises(SettingsError, match="may begin with '-'"):
            open_host_session(address)
    assert not (programs / "ssh.called").exists()


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("tester@hv01: Permission denied (publickey,password).", AccessDenied),
        ("ssh: Could not resolve hostname hv01: Name or service not known", HostUnreachable),
        ("ssh: connect to host hv01 port 2222: Connection refused", HostUnreachable),
        ("Host key verification failed.", HostUnreachable),
    ],
)
def test_what_ssh_cannot_do_is_told_and_not_tried_again(
    programs: Path, said: str, kind: type[AccessDenied | HostUnreachable]
) -> None:
    install(programs, "ssh", f"echo {shlex.quote(said)} >&2; exit 255")
    with pytest.raises(kind) as failed:
        open_host_session(FAR, timeout=20)
    assert said in failed.value.message
    assert (failed.value.host, bool(failed.value.hint)) == ("hv01", True)
    assert len(calls(programs, "ssh")) == 1


def test_without_ssh_the_client_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HostUnreachable, match="no program ssh") as missing:
        open_host_session(FAR)
    assert "OpenSSH" in missing.value.hint


# -- WinRM


@pytest.fixture(scope="module")
def endpoint(certificate: Path) -> Iterator[Endpoint]:
    """A WinRM service whose powershell is the peer."""
    with running(Plan({"powershell": peer_argv()}, str(certificate))) as service:
        yield service


def far(endpoint: Endpoint, certificate: Path, scheme: str, transport: str = "ntlm", user: str = USER) -> HostAddress:
    port = endpoint.https_port if scheme == "https" else endpoint.http_port
    return HostAddress.parse(f"winrm://{user}@localhost:{port}/?scheme={scheme}&transport={transport}&ca={certificate}")


@pytest.mark.parametrize(("scheme", "transport"), [("https", "basic"), ("http", "ntlm"), ("https", "ntlm")])
def test_winrm_carries_a_session(endpoint: Endpoint, certificate: Path, scheme: str, transport: str) -> None:
    address = far(endpoint, certificate, scheme, transport)
    assert talks(address, Credential(USER, Secret(PASSWORD)), max_runspaces=2) == "localhost"


def test_winrm_takes_a_certificate_for_an_account(endpoint: Endpoint, certificate: Path) -> None:
    proof = f"transport=certificate&ca={certificate}&cert={certificate}&key={certificate}"
    address = HostAddress.parse(f"winrm://localhost:{endpoint.https_port}/?{proof}")
    assert talks(address, host_credential(address, environment={})) == "localhost"


def test_each_process_on_a_road_is_one_more(endpoint: Endpoint, certificate: Path) -> None:
    road = HostRoad(far(endpoint, certificate, "http"), Credential(USER, Secret(PASSWORD)), timeout=20)
    assert (road.name, road.is_local) == ("localhost", False)
    before = endpoint.count()["shells"]
    with road.open(max_runspaces=4), road.open():
        assert endpoint.count()["shells"] == before + 2
    assert endpoint.count()["shells"] == before


def test_a_refused_password_is_told_with_its_source_and_without_itself(
    endpoint: Endpoint, certificate: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    credential = Credential(USER, Secret(HIDDEN), "the environment variable PYTEST_HYPERV_HOST_PASSWORD")
    with pytest.raises(AccessDenied) as denied:
        open_host_session(far(endpoint, certificate, "http"), credential, timeout=20)
    assert f"the account is {USER}, its password came from the environment variable" in denied.value.message
    assert denied.value.host == "localhost"
    assert HIDDEN not in str(denied.value) + repr(denied.value) + caplog.text


def test_no_connection_and_no_trust_make_the_host_unreachable(endpoint: Endpoint) -> None:
    credential = Credential(USER, Secret(PASSWORD))
    with pytest.raises(HostUnreachable, match="took no connection"):
        open_host_session(HostAddress.parse("winrm://tester@localhost:1"), credential, timeout=5)
    untrusted = HostAddress.parse(f"winrm://tester@localhost:{endpoint.https_port}")
    with pytest.raises(HostUnreachable, match="No TLS connection to localhost can be trusted"):
        open_host_session(untrusted, credential, timeout=20)
    trusting = HostAddress.parse(f"winrm://tester@localhost:{endpoint.https_port}/?verify=no")
    assert talks(trusting, credential) == "localhost"


def test_a_dead_powershell_over_winrm_makes_the_host_unreachable(certificate: Path) -> None:
    dies = [sys.executable, "-S", "-c", "import sys; sys.exit('no memory left')"]
    with running(Plan({"powershell": dies}, str(certificate))) as service:
        with pytest.raises(HostUnreachable, match="no memory left") as gone:
            open_host_session(far(service, certificate, "http"), Credential(USER, Secret(PASSWORD)), timeout=20)
        assert gone.value.host == "localhost"


def test_a_password_is_in_no_command_line_and_no_environment_we_make(
    endpoint: Endpoint, certificate: Path, programs: Path
) -> None:
    install(programs, "ssh", SSH)
    install(programs, "powershell.exe", PEER)
    secret = Credential(USER, Secret(PASSWORD))
    for address in (LOCAL, FAR, far(endpoint, certificate, "http")):
        with open_host_session(address, secret, timeout=20) as session:
            assert PASSWORD not in repr(session) + repr(address) + repr(HostRoad(address, secret))
            for child in psutil.Process().children(recursive=True):
                shown = [*child.cmdline(), *child.environ().values()]
                assert not any(PASSWORD in word for word in shown)
    assert PASSWORD not in os.environ.values()
