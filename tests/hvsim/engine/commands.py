"""Which commands the host has: name, contract, and what plays it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tests.hvsim.contract import CommandContract, Contract
from tests.hvsim.engine import errors
from tests.hvsim.engine.general.modules import HYPER_V
from tests.hvsim.engine.general.providers import on_files
from tests.hvsim.engine.invocation import Cmdlet, StreamCmdlet

ALIASES = {
    "%": "ForEach-Object",
    "?": "Where-Object",
    "cd": "Set-Location",
    "cat": "Get-Content",
    "copy": "Copy-Item",
    "cp": "Copy-Item",
    "del": "Remove-Item",
    "dir": "Get-ChildItem",
    "echo": "Write-Output",
    "foreach": "ForEach-Object",
    "gc": "Get-Content",
    "gci": "Get-ChildItem",
    "gcim": "Get-CimInstance",
    "gcm": "Get-Command",
    "gi": "Get-Item",
    "gmo": "Get-Module",
    "gps": "Get-Process",
    "gv": "Get-Variable",
    "ipmo": "Import-Module",
    "ls": "Get-ChildItem",
    "measure": "Measure-Object",
    "ni": "New-Item",
    "ps": "Get-Process",
    "ri": "Remove-Item",
    "rm": "Remove-Item",
    "select": "Select-Object",
    "sleep": "Start-Sleep",
    "sort": "Sort-Object",
    "sv": "Set-Variable",
    "where": "Where-Object",
    "write": "Write-Output",
}
HYPER_V_ALIASES = {
    "get-vmcheckpoint": "Get-VMSnapshot",
    "remove-vmcheckpoint": "Remove-VMSnapshot",
    "restore-vmcheckpoint": "Restore-VMSnapshot",
    "rename-vmcheckpoint": "Rename-VMSnapshot",
    "export-vmcheckpoint": "Export-VMSnapshot",
}
"""The checkpoint names are aliases of the snapshot cmdlets in the module's manifest."""


@dataclass(frozen=True)
class Resolved:
    """A command and what plays it: `per_object` runs once for each piped object, `streaming` once for all.

    Neither is there for a documented command that the simulated host does not play.
    """

    contract: CommandContract
    per_object: Cmdlet | None
    streaming: StreamCmdlet | None


@dataclass(frozen=True)
class Commands:
    """The commands of one host. Keys of the mappings are casefolded names."""

    contract: Contract
    hyper_v_installed: bool
    per_object: Mapping[str, Cmdlet]
    streaming: Mapping[str, StreamCmdlet]
    undocumented: Mapping[str, CommandContract]

    def find(self, name: str) -> Resolved:
        """The command that `name` means, with or without its module, or an alias.

        Raises ShellError for an unknown one, and one of a module that is not installed.
        """
        module, _, plain = name.rpartition("\\")
        if module.casefold() == HYPER_V.casefold() and not self.hyper_v_installed:
            raise errors.unloadable_module(name, module)
        key = ALIASES.get(plain.casefold(), HYPER_V_ALIASES.get(plain.casefold(), plain)).casefold()
        contract = self.undocumented.get(key) or self.contract.command(f"{module}\\{key}" if module else key)
        if contract is None or (contract.module == HYPER_V and not self.hyper_v_installed):
            raise errors.unknown_command(name)
        return Resolved(on_files(contract), self.per_object.get(key), self.streaming.get(key))
