"""All cmdlets of the guest's PowerShell, by lower-case name, aliases included."""

from __future__ import annotations

from tests.hvsim.guest.cmdlets import items, objects, streams, system
from tests.hvsim.guest.cmdlets.command import Command

_ALIASES = {
    "%": "ForEach-Object", "foreach": "ForEach-Object", "?": "Where-Object", "where": "Where-Object",
    "select": "Select-Object", "sort": "Sort-Object", "measure": "Measure-Object", "echo": "Write-Output",
    "write": "Write-Output", "sleep": "Start-Sleep", "cat": "Get-Content", "gc": "Get-Content", "type": "Get-Content",
    "dir": "Get-ChildItem", "ls": "Get-ChildItem", "gci": "Get-ChildItem", "gi": "Get-Item", "rm": "Remove-Item",
    "del": "Remove-Item", "ri": "Remove-Item", "cd": "Set-Location", "pwd": "Get-Location", "ps": "Get-Process",
    "gps": "Get-Process", "kill": "Stop-Process", "gsv": "Get-Service", "sc": "Set-Content", "gcim": "Get-CimInstance",
}  # fmt: skip

_COMMANDS = {**streams.COMMANDS, **objects.COMMANDS, **items.COMMANDS, **system.COMMANDS}
COMMANDS: dict[str, tuple[str, Command]] = {name.casefold(): (name, command) for name, command in _COMMANDS.items()}


def command(name: str) -> tuple[str, Command] | None:
    """A cmdlet's own name and the cmdlet; None when there is none of the name. A module before it is left out."""
    plain = name.rpartition("\\")[2].casefold()
    return COMMANDS.get(_ALIASES.get(plain, plain).casefold())
