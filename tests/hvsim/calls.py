"""Calls for the binder's tests: of documented cmdlets, and of commands made up to show one rule."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from uuid import UUID

import pytest

from tests.hvsim.binder import NOTHING, BindingError, Bound, NetObject, bind
from tests.hvsim.contract import ALL_SETS, CommandContract, Contract, InSet, Parameter

GUID = "0e2a9f9c-6f0d-4d0e-9a58-5f5c2f5f6b11"
VM = NetObject(
    ("Microsoft.HyperV.PowerShell.VirtualMachine", "Microsoft.HyperV.PowerShell.VirtualMachineBase", "System.Object"),
    {"Name": "vm1", "Id": UUID(GUID)},
)
COPY = NetObject(tuple(f"Deserialized.{name}" for name in VM.type_names), VM.properties, "vm1")
REQUIRED = InSet(mandatory=True)

Argument = tuple[str | None, object]


def command(name: str) -> CommandContract:
    """A documented command of 2025."""
    found = Contract.load("2025").command(name)
    assert found is not None
    return found


def bound(name: str, *arguments: Argument, piped: object = NOTHING) -> Bound:
    """A call of a documented command that binds."""
    return bind(command(name), arguments, piped=piped)


def refused(name: str | CommandContract, *arguments: Argument, piped: object = NOTHING) -> BindingError:
    """The refusal of a call that does not bind."""
    with pytest.raises(BindingError) as caught:
        bind(command(name) if isinstance(name, str) else name, arguments, piped=piped)
    return caught.value


def parameter(
    name: str,
    kind: str = "String",
    sets: Mapping[str, InSet] | None = None,
    *,
    by_value: bool = False,
    by_name: bool = False,
) -> Parameter:
    """A parameter in `sets`, by default in every one."""
    parts = sets if sets is not None else {ALL_SETS: InSet()}
    return Parameter(name, kind, parts, by_value=by_value, by_property_name=by_name)


def made(*parameters: Parameter, default: str = "") -> CommandContract:
    """A command of these parameters."""
    names = tuple(dict.fromkeys(name for one in parameters for name in one.sets))
    by_name = MappingProxyType({one.name: one for one in parameters})
    return CommandContract("Test-It", "Made", "Made.TestIt", names, default, by_name, MappingProxyType({}))
