"""PowerShell Direct's two connections, against a broker and a session server that run as a program."""

from __future__ import annotations

import contextlib
import socket
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import ClassVar
from uuid import UUID, uuid4

import pytest

from pytest_hyperv.errors import AccessDenied, CapabilityMissing, HypervError, SessionLost
from pytest_hyperv.psrp import hvsocket
from pytest_hyperv.psrp.hvsocket import SESSION_SERVICE, Connect, hyperv_connect, open_psdirect
from pytest_hyperv.psrp.pipes import StreamPipe
from pytest_hyperv.psrp.psdirect_handshake import Login
from pytest_hyperv.psrp.secret import Secret

if not hasattr(socket, "AF_UNIX"):
    pytest.skip("the double of a guest needs Unix sockets", allow_module_level=True)

from tests.psrp.direct_broker import Plan, running, short_directory
from tests.psrp.reading import PATIENCE, read_exactly

LOGIN = Login("tester", Secret("pä$$"))
ECHO = [sys.executable, "-c", "import os\nwhile data := os.read(0, 65536): os.write(1, data)"]


@contextlib.contextmanager
def guest(*faults: str, version: int = 2) -> Iterator[Connect]:
    with (
        short_directory() as directory,
        running(Plan(directory, ECHO, version=version, faults=list(faults))) as connect,
    ):
        yield connect


def opened(connect: Connect, login: Login = LOGIN, timeout: float = PATIENCE, require_v2: bool = False) -> StreamPipe:
    return open_psdirect(connect, login, name="vm-7", timeout=timeout, require_v2=require_v2)


@pytest.mark.parametrize(("version", "faults"), [(2, ()), (1, ()), (1, ("no-configurations",))])
def test_bytes_pass_both_ways_after_the_handshake(version: int, faults: tuple[str, ...]) -> None:
    with guest(*faults, version=version) as connect, contextlib.closing(opened(connect)) as pipe:
        pipe.send(b"<Data/>\n", PATIENCE)
        assert read_exactly(pipe, 8) == b"<Data/>\n"
        assert pipe.name == "PowerShell Direct of vm-7"
        assert pipe.diagnosis() == ""


def test_a_configuration_name_is_taken() -> None:
    login = Login("tester", Secret("pä$$"), configuration="PowerShell.7")
    with guest() as connect, contextlib.closing(opened(connect, login)) as pipe:
        pipe.send(b"x", PATIENCE)
        assert read_exactly(pipe, 1) == b"x"


@pytest.mark.parametrize("version", [1, 2])
def test_a_wrong_password_is_access_denied(version: int) -> None:
    with guest(version=version) as connect, pytest.raises(AccessDenied, match=r"vm-7: .*localhost\\tester") as denied:
        opened(connect, Login("tester", Secret("hunter2")))
    assert denied.value.hint
    assert denied.value.host == "vm-7"
    assert "hunter2" not in str(denied.value) + repr(denied.value)


def test_the_downgrade_is_refused_when_version_2_is_required() -> None:
    with guest(version=1) as connect, pytest.raises(AccessDenied, match=r"version 1 .*version 2 is required") as denied:
        opened(connect, require_v2=True)
    assert "RequirePsDirectAuthentication" in denied.value.hint


def test_version_2_passes_when_it_is_required() -> None:
    with guest() as connect:
        opened(connect, require_v2=True).close()


@pytest.mark.parametrize(
    ("fault", "error", "text"),
    [
        ("hang-broker", SessionLost, "stopped answering"),
        ("hang-session", SessionLost, "stopped answering"),
        ("hang-up", SessionLost, "closed the connection|broke off"),
        ("expired-token", SessionLost, "closed the connection to the version"),
        ("other-token", AccessDenied, "refused the session's token"),
    ],
)
def test_each_fault_ends_in_one_clear_error(fault: str, error: type[HypervError], text: str) -> None:
    with guest(fault) as connect, pytest.raises(error, match=text) as caught:
        opened(connect, timeout=1.0)
    assert "vm-7" in caught.value.message
    assert caught.value.hint


def test_a_guest_without_the_services_is_a_lost_session() -> None:
    def refuse(service: UUID, timeout: float) -> socket.socket:
        raise ConnectionRefusedError(f"nothing listens on {service} for {timeout > 0}")

    with pytest.raises(SessionLost, match="did not take the connection to PowerShell Direct's broker") as lost:
        opened(refuse)
    assert "boot" in lost.value.hint


def test_a_failed_second_connection_leaves_no_socket_open() -> None:
    with guest("other-token") as connect:
        made: list[socket.socket] = []

        def watched(service: UUID, timeout: float) -> socket.socket:
            made.append(connect(service, timeout))
            return made[-1]

        with pytest.raises(AccessDenied):
            opened(watched)
    assert [connection.fileno() for connection in made] == [-1, -1]


def test_hyperv_sockets_need_windows_and_python_3_12() -> None:
    if sys.platform == "win32" and hasattr(socket, "AF_HYPERV"):
        assert callable(hyperv_connect(uuid4()))
        return
    with pytest.raises(CapabilityMissing, match="Hyper-V sockets") as missing:
        hyperv_connect(uuid4())
    assert set(missing.value.missing) == {"psdirect-socket"}
    assert "New-PSSession -VMId" in missing.value.hint


def test_what_lacks_is_said_for_platform_and_python() -> None:
    assert "only Windows" in hvsocket._what_lacks("linux", family_known=False)
    assert "3.12" in hvsocket._what_lacks("win32", family_known=False)
    assert hvsocket._what_lacks("win32", family_known=True) == ""


class Recorder:
    """In the place of a socket of Windows: remembers what it was asked, and refuses to connect to the broker."""

    made: ClassVar[list[Recorder]] = []

    def __init__(self, *kind: int) -> None:
        self.said: list[object] = [kind]
        Recorder.made.append(self)

    def setsockopt(self, *option: int) -> None:
        self.said.append(option)

    def connect(self, address: tuple[str, str]) -> None:
        self.said.append(address)
        if address[1] == str(hvsocket.BROKER_SERVICE):
            raise ConnectionRefusedError("not yet")

    def close(self) -> None:
        self.said.append("closed")


def test_a_hyperv_socket_is_addressed_by_machine_and_service(monkeypatch: pytest.MonkeyPatch) -> None:
    constants = {"AF_HYPERV": 34, "SOCK_STREAM": 1, "HV_PROTOCOL_RAW": 1, "HVSOCKET_CONNECT_TIMEOUT": 1}
    monkeypatch.setattr(hvsocket, "socket", SimpleNamespace(socket=Recorder, **constants))
    monkeypatch.setattr(hvsocket, "sys", SimpleNamespace(platform="win32", version="3.12.1 (tags)"))
    monkeypatch.setattr(Recorder, "made", [])
    machine = UUID("11111111-2222-3333-4444-555555555555")
    connect = hyperv_connect(machine)
    connect(SESSION_SERVICE, 2.5)
    with pytest.raises(ConnectionRefusedError):
        connect(hvsocket.BROKER_SERVICE, 9999.0)
    assert [socket.said for socket in Recorder.made] == [
        [(34, 1, 1), (1, 1, 2500), (str(machine), "a5201c21-2770-4c11-a68e-f182edb29220")],
        [(34, 1, 1), (1, 1, 300_000), (str(machine), "999e53d4-3d5c-4c3e-8779-bed06ec056e1"), "closed"],
    ]
