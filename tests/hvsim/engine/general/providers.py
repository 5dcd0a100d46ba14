"""Parameters of cmdlets over items that belong to a provider, as they are on a drive of files."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from types import MappingProxyType

from tests.hvsim.contract import ALL_SETS, CommandContract, InSet, Parameter

ADDED = ("Attributes", "Directory", "File", "Hidden", "ReadOnly", "System")
"""What the FileSystem provider adds to every set of Get-ChildItem; the reference page shows it in one."""


@cache
def on_files(command: CommandContract) -> CommandContract:
    """The command without the parameters of other providers, which are in no set, and with those of files."""
    parameters = {
        name: _anywhere(parameter) if command.name == "Get-ChildItem" and name in ADDED else parameter
        for name, parameter in command.parameters.items()
        if parameter.sets
    }
    return replace(command, parameters=MappingProxyType(parameters))


def _anywhere(parameter: Parameter) -> Parameter:
    return replace(parameter, sets=MappingProxyType({ALL_SETS: InSet()}))
