"""What each cmdlet of the simulated host accepts: modules, parameter sets, types, aliases, positions, pipeline input.

The facts are the vendor's reference pages', packed by ``make_contract``; the common parameters, which the pages do not
list, are those of the engine.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType
from typing import Any, Literal

from tests.hvsim.make_contract import DATA

ServerVersion = Literal["2019", "2022", "2025"]
Engine = Literal["5.1", "7.6"]
Origin = Literal["declared", "common", "should process"]

ALL_SETS = "__AllParameterSets"
SHOULD_PROCESS = ("WhatIf", "Confirm")
FUNCTION_MODULES = ("HgsClient", "Storage")
FUNCTIONS = ("Get-FileHash", "New-Guid")
CLASS_NAMESPACES = {
    "Hyper-V": "Microsoft.HyperV.PowerShell.Commands",
    "Dism": "Microsoft.Dism.Commands",
    "CimCmdlets": "Microsoft.Management.Infrastructure.CimCmdlets",
}
COMMON_PARAMETERS = (
    ("Verbose", "SwitchParameter", "vb"),
    ("Debug", "SwitchParameter", "db"),
    ("ErrorAction", "ActionPreference", "ea"),
    ("WarningAction", "ActionPreference", "wa"),
    ("InformationAction", "ActionPreference", "infa"),
    ("ProgressAction", "ActionPreference", "proga"),
    ("ErrorVariable", "String", "ev"),
    ("WarningVariable", "String", "wv"),
    ("InformationVariable", "String", "iv"),
    ("OutVariable", "String", "ov"),
    ("OutBuffer", "Int32", "ob"),
    ("PipelineVariable", "String", "pv"),
)
"""Name, type and alias, in the engine's order (about_CommonParameters; ProgressAction came with PowerShell 7.4)."""

ACTION_PREFERENCES = ("SilentlyContinue", "Stop", "Continue", "Inquire", "Ignore", "Suspend", "Break")


@dataclass(frozen=True)
class InSet:
    """How a parameter takes part in one parameter set."""

    mandatory: bool = False
    position: int | None = None


@dataclass(frozen=True)
class Parameter:
    """A parameter as documented.

    `type` is the .NET class without its namespace, ``[]`` after it for an array. `sets` maps set names to the part the
    parameter has there; `ALL_SETS` stands for every set.
    """

    name: str
    type: str
    sets: Mapping[str, InSet]
    aliases: tuple[str, ...] = ()
    accepted_values: tuple[str, ...] = ()
    by_value: bool = False
    by_property_name: bool = False
    origin: Origin = "declared"

    @property
    def element_type(self) -> str | None:
        """The type of the elements of an array, None for a scalar."""
        return self.type[:-2] if self.type.endswith("[]") else None

    @property
    def ever_mandatory(self) -> bool:
        """Whether any set demands the parameter."""
        return any(part.mandatory for part in self.sets.values())


@dataclass(frozen=True, eq=False)
class CommandContract:
    """A cmdlet: `parameters` holds the documented ones, then the common ones, in the order the engine merges them."""

    name: str
    module: str
    class_name: str
    sets: tuple[str, ...]
    default_set: str
    parameters: Mapping[str, Parameter] = field(repr=False)
    enums: Mapping[str, tuple[str, ...]] = field(repr=False)

    @property
    def is_function(self) -> bool:
        """Whether the command is a script function, whose errors end in its name instead of a class."""
        return self.class_name == self.name


class Contract:
    """The commands of one version of Windows Server."""

    def __init__(self, version: ServerVersion, commands: Mapping[str, CommandContract]) -> None:
        self.version = version
        self._commands = commands

    @classmethod
    def load(cls, version: ServerVersion, engine: Engine = "5.1") -> Contract:
        """The documented commands of `version`, with the common parameters of `engine`."""
        return _load(version, engine)

    @property
    def commands(self) -> tuple[CommandContract, ...]:
        """All commands, by module and name as documented."""
        return tuple(self._commands.values())

    def command(self, name: str) -> CommandContract | None:
        """The command of that name, in any case and with or without its module, or None."""
        module, _, plain = name.rpartition("\\")
        found = self._commands.get(plain.lower())
        if found is None or (module and module.lower() != found.module.lower()):
            return None
        return found


@cache
def _load(version: ServerVersion, engine: Engine) -> Contract:
    data = packed()
    if version not in {v for entries in data["commands"]["Hyper-V"].values() for e in entries for v in e["versions"]}:
        raise ValueError(f"the contract has no version {version!r}: 2019, 2022 and 2025 are documented")
    common = _common_parameters(engine)
    commands: dict[str, CommandContract] = {}
    for module, cmdlets in data["commands"].items():
        definitions = {
            name: entry["definition"]
            for name, entries in cmdlets.items()
            for entry in entries
            if version in entry["versions"]
        }
        enums = MappingProxyType(_enums(definitions))
        for name, definition in definitions.items():
            commands[name.lower()] = _command(name, module, definition, enums, common)
    return Contract(version, commands)


def packed() -> dict[str, Any]:
    """The data file as it is: sources and commands."""
    data: dict[str, Any] = json.loads(gzip.decompress(DATA.read_bytes()))
    return data


def plain_type(documented: str) -> str:
    """A documented type without namespaces: the pages write some types out and some short."""
    nullable = re.fullmatch(r"System\.Nullable`1\[\[(.+?)\]\]", documented)
    name = (nullable[1] if nullable else documented).partition("`")[0]
    array = "[]" if documented.endswith("[]") else ""
    plain = name.removesuffix("[]").rpartition(".")[2]
    return ("SwitchParameter" if plain == "Switch" else plain) + array


def _class_name(name: str, module: str) -> str:
    if module in FUNCTION_MODULES or name in FUNCTIONS:
        return name
    namespace = CLASS_NAMESPACES.get(module, "Microsoft.PowerShell.Commands")
    return f"{namespace}.{name.replace('-', '')}" + ("" if module == "Hyper-V" else "Command")


def _enums(definitions: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """The names of each enumeration, gathered from all parameters of its type."""
    names: dict[str, dict[str, None]] = {"ActionPreference": dict.fromkeys(ACTION_PREFERENCES)}
    for definition in definitions.values():
        for parameter in definition["parameters"].values():
            kind = plain_type(parameter["type"]).removesuffix("[]")
            if kind not in BUILT_IN and "accepted_values" in parameter:
                names.setdefault(kind, {}).update(dict.fromkeys(parameter["accepted_values"]))
    return {kind: tuple(values) for kind, values in names.items()}


BUILT_IN = frozenset(
    (
        *("String", "Char", "Boolean", "Object", "PSObject", "Hashtable", "Single", "Double"),
        *("Byte", "Int16", "Int32", "Int64", "UInt16", "UInt32", "UInt64"),
    )
)
"""Types whose accepted values are a check of the cmdlet's, not the names of an enumeration."""


def _command(
    name: str,
    module: str,
    definition: Mapping[str, Any],
    enums: Mapping[str, tuple[str, ...]],
    common: Mapping[str, Parameter],
) -> CommandContract:
    declared: dict[str, Parameter] = {}
    should_process: dict[str, Parameter] = {}
    for parameter_name, documented in definition["parameters"].items():
        sets = {
            set_name: InSet(members[parameter_name]["mandatory"], members[parameter_name].get("position"))
            for set_name, members in definition["sets"].items()
            if parameter_name in members
        }
        pipeline = documented.get("pipeline", "").replace("(False)", "").split(", ")
        parameter = Parameter(
            name=parameter_name,
            type=plain_type(documented["type"]),
            sets=MappingProxyType(sets),
            aliases=tuple(documented.get("aliases", ())),
            accepted_values=tuple(documented.get("accepted_values", ())),
            by_value="ByValue" in pipeline,
            by_property_name="ByPropertyName" in pipeline,
        )
        declared[parameter_name] = parameter
    for parameter_name in SHOULD_PROCESS:
        if parameter_name in declared:
            parameter = declared.pop(parameter_name)
            should_process[parameter_name] = Parameter(
                name=parameter_name,
                type="SwitchParameter",
                sets=MappingProxyType({ALL_SETS: InSet()}),
                aliases=parameter.aliases,
                origin="should process",
            )
    return CommandContract(
        name=name,
        module=module,
        class_name=_class_name(name, module),
        sets=tuple(definition["sets"]),
        default_set=definition["default_set"] or "",
        parameters=MappingProxyType({**declared, **common, **should_process}),
        enums=enums,
    )


def _common_parameters(engine: Engine) -> dict[str, Parameter]:
    return {
        name: Parameter(
            name=name, type=kind, sets=MappingProxyType({ALL_SETS: InSet()}), aliases=(alias,), origin="common"
        )
        for name, kind, alias in COMMON_PARAMETERS
        if engine != "5.1" or name != "ProgressAction"
    }
