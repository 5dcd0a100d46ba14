"""Cmdlets about the session itself: its variables, its clock, its place, the processes around it."""

from __future__ import annotations

import datetime
import os
import time
import uuid
from collections.abc import Iterator

from tests.hvsim.engine import errors
from tests.hvsim.engine.general.comparison import wildcard
from tests.hvsim.engine.invocation import Invocation
from tests.hvsim.engine.values import Int64
from tests.hvsim.values import NetObject
from tests.psrp.peer.records import ShellError


def start_sleep(inv: Invocation) -> Iterator[object]:
    """Wait for so much of the host's time."""
    milliseconds = inv.value("Milliseconds")
    seconds = inv.value("Seconds", 0) if milliseconds is None else milliseconds / 1000
    inv.sleep(inv.host.real_seconds(seconds))
    return iter(())


def get_date(inv: Invocation) -> Iterator[object]:
    """The host's clock, or the time given, in UTC; -Format is .NET's o, s and u, or refused."""
    given = inv.value("Date")
    if given is None:
        with inv.host.transaction() as world:
            now = datetime.datetime.fromtimestamp(world.now, datetime.UTC)
    else:
        now = given
    parts = {name.casefold(): inv.value(name) for name in ("Year", "Month", "Day", "Hour", "Minute", "Second")}
    now = now.replace(**{name: value for name, value in parts.items() if value is not None})
    written = inv.value("Format")
    if written is None:
        yield now
        return
    formats = {"o": "%Y-%m-%dT%H:%M:%S.%f0Z", "s": "%Y-%m-%dT%H:%M:%S", "u": "%Y-%m-%d %H:%M:%SZ"}
    if written not in formats:
        raise errors.not_simulated(inv.command)
    yield now.strftime(formats[written])


def new_guid(_inv: Invocation) -> Iterator[object]:
    """A GUID."""
    yield uuid.uuid4()


def get_variable(inv: Invocation) -> Iterator[object]:
    """Global variables by name."""
    variables = inv.process.variables
    for pattern in inv.value("Name") or ["*"]:
        matcher = wildcard(str(pattern))
        found = {name: value for name, value in variables.items() if matcher.fullmatch(name)}
        if not found and not any(character in str(pattern) for character in "*?["):
            raise ShellError(
                f"Cannot find a variable with the name '{pattern}'.",
                f"VariableNotFound,{inv.command.class_name}",
                "ObjectNotFound",
                target=str(pattern),
                activity=inv.command.name,
            )
        for name, value in found.items():
            bag = {"Name": name, "Value": value, "Description": "", "Options": "None"}
            yield value if inv.value("ValueOnly") else NetObject(("System.Management.Automation.PSVariable",), bag)


def set_variable(inv: Invocation) -> Iterator[object]:
    """Set global variables."""
    for name in inv.value("Name"):
        inv.process.variables[str(name).casefold()] = inv.value("Value")
    return iter(())


def get_process(inv: Invocation) -> Iterator[object]:
    """This process, and the management service of Hyper-V."""
    processes = [("powershell", os.getpid())]
    if inv.host.options.module:
        processes.append(("vmms", 2048))
    wanted = inv.value("Name") or ["*"]
    ids = inv.value("Id")
    for name, number in processes:
        if (ids is None or number in ids) and any(wildcard(str(pattern)).fullmatch(name) for pattern in wanted):
            bag = {
                "Name": name,
                "ProcessName": name,
                "Id": number,
                "HasExited": False,
                "WorkingSet64": Int64(80 * 2**20),
                "StartTime": datetime.datetime.fromtimestamp(time.time(), datetime.UTC),
            }
            yield NetObject(
                ("System.Diagnostics.Process", "System.Object"), bag, f"System.Diagnostics.Process ({name})"
            )


def get_host(inv: Invocation) -> Iterator[object]:
    """What $Host is in a remote session."""
    bag = {"Name": "ServerRemoteHost", "CurrentCulture": inv.host.options.culture}
    yield NetObject(("System.Management.Automation.Internal.Host.InternalHost", "System.Object"), bag)


def get_culture(inv: Invocation) -> Iterator[object]:
    """The host's culture."""
    name = inv.host.options.culture
    lcid = {"en-US": 1033, "de-DE": 1031}.get(name, 127)
    yield NetObject(("System.Globalization.CultureInfo", "System.Object"), {"LCID": lcid, "Name": name}, name)


def prompt(_inv: Invocation) -> Iterator[object]:
    """What the client of an interactive session shows."""
    yield "PS C:\\Users\\Administrator\\Documents> "


def get_location(_inv: Invocation) -> Iterator[object]:
    """Where a session begins."""
    path = "C:\\Users\\Administrator\\Documents"
    bag = {"Path": path, "ProviderPath": path}
    yield NetObject(("System.Management.Automation.PathInfo", "System.Object"), bag, path)


def nothing(_inv: Invocation) -> Iterator[object]:
    """No output, and nothing to do here."""
    return iter(())
