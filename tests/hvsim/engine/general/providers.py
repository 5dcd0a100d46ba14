"""Parameter sets of cmdlets over items, as they are on a drive of files.

The reference pages show each set once for each provider ("Path  - FileSystem provider", "Path  - All providers");
the cmdlet itself has each once, and takes the parameters that the provider of the path adds.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from types import MappingProxyType

from tests.hvsim.contract import ALL_SETS, CommandContract, InSet, Parameter

_SUFFIX = re.compile(r"\s+- (.+) providers?$")
_OF_FILES = ("FileSystem", "All")
ADDED = ("Attributes", "Directory", "File", "Hidden", "ReadOnly", "System")
"""What the FileSystem provider adds to Get-ChildItem in every set; the page shows it in one."""


@cache
def on_files(command: CommandContract) -> CommandContract:
    """The command with the sets of the FileSystem provider and of all providers, under their own names."""
    if command.name == "Get-ChildItem":
        return _with_added(command)
    if not any(_SUFFIX.search(name) for name in command.sets):
        return command
    kept = {name: _SUFFIX.sub("", name) for name in command.sets if _is_of_files(name)}
    parameters = {
        name: parameter if parameter.origin != "declared" else _merged(parameter, kept)
        for name, parameter in command.parameters.items()
        if parameter.origin != "declared" or set(parameter.sets) & set(kept)
    }
    return replace(
        command,
        sets=tuple(dict.fromkeys(kept.values())),
        default_set=_SUFFIX.sub("", command.default_set),
        parameters=MappingProxyType(parameters),
    )


def _with_added(command: CommandContract) -> CommandContract:
    everywhere = MappingProxyType({ALL_SETS: InSet()})
    parameters = {
        name: replace(parameter, sets=everywhere) if name in ADDED else parameter
        for name, parameter in command.parameters.items()
        if parameter.sets
    }
    return replace(command, parameters=MappingProxyType(parameters))


def _is_of_files(name: str) -> bool:
    suffix = _SUFFIX.search(name)
    return suffix is None or suffix[1] in _OF_FILES


def _merged(parameter: Parameter, kept: dict[str, str]) -> Parameter:
    sets = {kept[name]: part for name, part in parameter.sets.items() if name in kept}
    return replace(parameter, sets=MappingProxyType(sets))
