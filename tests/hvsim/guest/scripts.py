"""Who plays which of the package's scripts: `GUEST_SCRIPTS`, by their texts."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_hyperv.backends.hyperv.scripts import text
from tests.hvsim.engine.invocation import Handler, ScriptInvocation
from tests.hvsim.engine.values import Credential, custom_object
from tests.hvsim.guest import copy_scripts, host_scripts, runner
from tests.hvsim.guest.files import TEMP
from tests.hvsim.guest.identity import COMPUTER, OS_VERSION, POWERSHELL_EDITION, POWERSHELL_VERSION
from tests.hvsim.guest.powershell_program import powershell
from tests.hvsim.guest.programs import PROGRAMS
from tests.hvsim.guest.remote_values import remote
from tests.hvsim.guest.session import in_session, open_session, state_of


def open_script(invocation: ScriptInvocation) -> Iterator[object]:
    """open-session.ps1: the session in place of the one that was there, and what answered."""
    invocation.process.guest_session = None
    credential = invocation.arguments["Credential"]
    assert isinstance(credential, Credential)
    machine = str(invocation.arguments["VMId"]).lower()
    invocation.process.guest_session = open_session(invocation, machine, credential)
    with in_session(invocation) as opened:
        if opened is None:
            return
        session, system = opened
        said = {
            "PSVersion": POWERSHELL_VERSION,
            "PSEdition": POWERSHELL_EDITION,
            "OSVersion": OS_VERSION,
            "MachineName": COMPUTER,
            "UserName": session.user,
            "ProcessId": session.pid,
            "UtcNow": system.utc_now(),
            "TempPath": TEMP + "\\",
        }
        yield remote(custom_object(said), session)


def state_script(invocation: ScriptInvocation) -> Iterator[object]:
    """session-state.ps1."""
    yield state_of(invocation)


def remove_script(invocation: ScriptInvocation) -> Iterator[object]:
    """remove-session.ps1."""
    invocation.process.guest_session = None
    yield from ()


GUEST_SCRIPTS: dict[str, Handler] = {
    text("open-session"): open_script,
    text("session-state"): state_script,
    text("remove-session"): remove_script,
    text("run-script"): runner.run_script,
    text("invoke-calls"): runner.run_calls,
    text("copy-in"): copy_scripts.copy_in,
    text("finish-copy"): copy_scripts.finish_copy,
    text("copy-out"): copy_scripts.copy_out,
    text("put-file"): host_scripts.put_file,
    text("finish-file"): host_scripts.finish_file,
    text("get-file"): host_scripts.get_file,
    text("lease-book"): host_scripts.lease_book,
    text("screenshot"): host_scripts.screenshot,
    text("console"): host_scripts.console,
}

__all__ = ["GUEST_SCRIPTS", "PROGRAMS"]

PROGRAMS["powershell"] = powershell
"""Put in here, because it runs scripts, which run programs."""
