"""The road into a guest of this backend: the kept server on its port, and the guest agent that brings it there."""

from __future__ import annotations

from collections.abc import Callable

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from pytest_hyperv.backends.qemu import console
from pytest_hyperv.backends.qemu.command_line import SERVER_PORT
from pytest_hyperv.backends.qemu.guest_agent import GuestAgent
from pytest_hyperv.backends.qemu.guest_connection import Listener
from pytest_hyperv.backends.qemu.guest_install import NoPerl, install_server
from pytest_hyperv.backends.qemu.guest_server import GuestServer
from pytest_hyperv.backends.qemu.instance import Instance
from pytest_hyperv.backends.qemu.unanswered import Unanswered
from pytest_hyperv.errors import BootTimeout, CommandTimeout, GuestError, MachineStateError, SessionLost
from pytest_hyperv.guest import GuestSession

RESYNC = 20.0
"""Seconds a server that came with a saved state may take to answer on a slow, busy machine; it takes 0.01 to 0.7."""
ANEW = 60.0
"""Seconds that it may take to open another one, by way of the agent, when the server does not answer."""
PING = 5.0
TAIL = 15


def open_session(
    name: str,
    instance: Instance,
    server_inside: bool,
    fail_if_dead: Callable[[], None],
    listener: Listener,
    timeout: float,
    reopened: Callable[[str], None],
) -> GuestSession:
    """A session into the guest: the server that is in it, or one brought in, or the agent where there is no perl.

    A server that is in it and does not answer is replaced, once, and ``reopened`` told why. Raises Unanswered when that
    does not help, BootTimeout with the console's last lines when nothing answers in ``timeout`` seconds, SessionLost
    when the guest goes down meanwhile, and whatever ``fail_if_dead`` raises once the guest has died.
    """
    if not server_inside:
        return _brought(name, instance, fail_if_dead, listener, timeout)
    try:
        return _connected(instance, listener)
    except (CommandTimeout, SessionLost) as silent:
        fail_if_dead()
        try:
            session = _brought(name, instance, fail_if_dead, listener, min(timeout, ANEW))
        except (BootTimeout, SessionLost) as error:
            raise Unanswered(f"{silent.message}, and no other could be started: {error.message}") from error
        reopened(silent.message)
        return session


def _connected(instance: Instance, listener: Listener) -> GuestServer:
    sock = instance.channel("server")
    try:
        return GuestServer.connect(sock, RESYNC, listener)
    except BaseException:
        sock.close()  # QEMU serves one connection at a time
        raise


def _brought(
    name: str, instance: Instance, fail_if_dead: Callable[[], None], listener: Listener, timeout: float
) -> GuestSession:
    agent = _wait_for_agent(name, instance, fail_if_dead, timeout)
    try:
        install_server(agent, SERVER_PORT)
    except NoPerl:
        return agent
    except GuestError as error:
        agent.close()
        raise SessionLost(f"no session into {name} could be opened: {error}") from error
    agent.close()
    return _connected(instance, listener)


def open_agent(name: str, instance: Instance, fail_if_dead: Callable[[], None], timeout: float) -> GuestSession:
    """A session by the agent alone, beside the process that has the better one.

    Raises MachineStateError when that process has the agent too, and whatever ``fail_if_dead`` raises.
    """
    try:
        return _wait_for_agent(name, instance, fail_if_dead, timeout)
    except BootTimeout:
        raise MachineStateError(
            f"the guest of {name} speaks to another process, and to that one alone",
            hint="enter it once that run has kept it (--hyperv-keep), or while its debugger is open (--pdb).",
            machine=name,
        ) from None


def announced(session: GuestSession) -> bool:
    """Whether the guest said that it is shutting down; the agent cannot, so with it every reset counts as announced."""
    return session.said_bye if isinstance(session, GuestServer) else True


def ended(session: GuestSession) -> bool:
    """Whether a session is over and another one must be opened."""
    return isinstance(session, GuestServer) and session.ended


def keeps_running(session: GuestSession) -> bool:
    """Whether the session's guest end is a process that a saved state keeps."""
    return isinstance(session, GuestServer)


def _wait_for_agent(name: str, instance: Instance, fail_if_dead: Callable[[], None], timeout: float) -> GuestAgent:
    agent = GuestAgent(instance.channel("agent"))

    def ask() -> None:
        fail_if_dead()
        agent.ping(PING)

    try:
        for attempt in Retrying(
            retry=retry_if_exception_type(GuestError),
            stop=stop_after_delay(timeout),
            wait=wait_fixed(0.1),
            reraise=True,
        ):
            with attempt:
                ask()
    except GuestError as error:
        agent.close()
        last = "\n".join("  " + line for line in console.read(instance.folder).splitlines()[-TAIL:])
        raise BootTimeout(
            f"the guest agent of {name} did not answer in {timeout:.0f} s ({error.message}); its console ends:\n{last}",
            hint="give it more time with timeout=, or look at the screen with vm.screenshot().",
            machine=name,
        ) from error
    except BaseException:
        agent.close()
        raise
    return agent
