"""What a cmdlet takes from its bound arguments, and how it goes through the machines they name."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from tests.hvsim.binder import NetObject
from tests.hvsim.engine.invocation import Invocation
from tests.hvsim.host.failures import HostFailure, unknown_id, unknown_machine
from tests.hvsim.host.machines import Checkpoint, VirtualMachine
from tests.hvsim.host.mishaps import before_change
from tests.hvsim.host.state import World

Result = TypeVar("Result")
WILDCARDS = re.compile(r"[*?\[]")
SHORTEST_SLEEP = 0.004
"""Real seconds."""
SHORT_LOOK = 0.5
"""Simulated seconds between the first looks at a machine that only its guest can change."""


def given(inv: Invocation, parameter: str) -> bool:
    """Whether a parameter was bound."""
    return parameter in inv.bound.values


def text(inv: Invocation, parameter: str, default: str = "") -> str:
    """A string parameter."""
    value = inv.bound.values.get(parameter)
    return default if value is None else str(value)


def texts(inv: Invocation, parameter: str) -> list[str]:
    """A string[] parameter; empty when it was not bound."""
    return [str(item) for item in items(inv, parameter)]


def items(inv: Invocation, parameter: str) -> list[Any]:
    """An array parameter, or a scalar one as a list of one; empty when it was not bound."""
    value = inv.bound.values.get(parameter)
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def number(inv: Invocation, parameter: str, default: int = 0) -> int:
    """An integer parameter."""
    value = inv.bound.values.get(parameter)
    return default if value is None else int(str(value))


def flag(inv: Invocation, parameter: str) -> bool:
    """A switch or a boolean parameter; False when it was not bound."""
    return bool(inv.bound.values.get(parameter, False))


def is_on(inv: Invocation, parameter: str) -> bool:
    """Whether an OnOffState parameter says On."""
    return text(inv, parameter).casefold() == "on"


def matcher(pattern: str) -> Callable[[str], bool]:
    """Whether a name fits a PowerShell wildcard pattern (``*``, ``?``, ``[a-z]``, a backtick before a literal)."""
    expression = ""
    rest = pattern
    while rest:
        character, rest = rest[0], rest[1:]
        closing = rest.find("]")
        if character == "`" and rest:
            expression, rest = expression + re.escape(rest[0]), rest[1:]
        elif character == "*":
            expression += ".*"
        elif character == "?":
            expression += "."
        elif character == "[" and closing > 0:
            expression += f"[{re.escape(rest[:closing]).replace(chr(92) + '-', '-')}]"
            rest = rest[closing + 1 :]
        else:
            expression += re.escape(character)
    compiled = re.compile(expression, re.IGNORECASE | re.DOTALL)
    return lambda name: compiled.fullmatch(name) is not None


def prop(value: object, name: str) -> object:
    """A property of an object that was piped or bound. Raises `HostFailure` when it is not there."""
    found = value.property(name) if isinstance(value, NetObject) else None
    if isinstance(found, uuid.UUID | str | int | list | tuple):
        return found
    raise HostFailure(f"The object '{value}' has no usable {name}.", error_id="InvalidParameter")


def identity(value: object, name: str = "Id") -> str:
    """The GUID of an object, as the world writes it."""
    return str(prop(value, name)).lower()


def named(world: World, names: Iterable[str]) -> tuple[list[VirtualMachine], list[HostFailure]]:
    """The machines that names or patterns fit, and a failure for each plain name that fits none."""
    found: dict[str, VirtualMachine] = {}
    failures = []
    for name in names:
        fits = matcher(name)
        matching = [vm for vm in world.machines.values() if fits(vm.name)]
        found |= {vm.id: vm for vm in matching}
        if not matching and not WILDCARDS.search(name):
            failures.append(unknown_machine(name))
    return list(found.values()), failures


def targets(inv: Invocation, world: World, name_parameter: str) -> tuple[list[str], list[HostFailure]]:
    """The ids of the machines that the bound set names, by object, id or name, and what was not found."""
    if (objects := items(inv, "VM")) or given(inv, "VM"):
        ids = [identity(value) for value in objects]
        missing = [unknown_id(one) for one in ids if one not in world.machines]
        return [one for one in ids if one in world.machines], missing
    machines, failures = named(world, texts(inv, name_parameter))
    return [vm.id for vm in machines], failures


def each_machine(
    inv: Invocation,
    action: Callable[[World, VirtualMachine], Result],
    *,
    name_parameter: str = "VMName",
    changes: bool = True,
) -> Iterator[tuple[str, Result]]:
    """Do `action` for every machine named, each in a transaction of its own; gives ids and results.

    A `HostFailure` becomes a non-terminating error of that machine alone. `changes` says that pending jobs and planned
    faults of changes concern the cmdlet.
    """
    with inv.host.transaction() as world:
        ids, failures = targets(inv, world, name_parameter)
    for failure in failures:
        inv.error(failure)
    for one in ids:
        try:
            with inv.host.transaction() as world:
                vm = world.machine(one)
                if changes:
                    before_change(world, vm, inv.command.name)
                result = action(world, vm)
        except HostFailure as failure:
            inv.error(failure)
        else:
            yield one, result


def checkpoint_of(world: World, value: object) -> tuple[VirtualMachine, Checkpoint]:
    """The checkpoint that a VMSnapshot object stands for. Raises `HostFailure` when it is gone."""
    return find_checkpoint(world, identity(value))


def find_checkpoint(world: World, wanted: str) -> tuple[VirtualMachine, Checkpoint]:
    """The checkpoint with an id, and its machine. Raises `HostFailure` when there is none."""
    for vm in world.machines.values():
        if wanted in vm.checkpoints:
            return vm, vm.checkpoints[wanted]
    raise HostFailure(
        f"Hyper-V was unable to find a checkpoint with ID '{wanted}'.",
        error_id="InvalidParameter",
        category="ObjectNotFound",
        target=wanted,
    )


def wait_until(inv: Invocation, machine_id: str, done: Callable[[World, VirtualMachine], bool], seconds: float) -> bool:
    """Wait until `done` says so, or the machine is gone; False when that took more than `seconds` (simulated)."""
    began: float | None = None
    while True:
        with inv.host.transaction() as world:
            vm = world.machines.get(machine_id)
            if vm is None or done(world, vm):
                return True
            if began is None:
                began = world.now
            deadline = began + seconds
            if world.now >= deadline:
                return False
            idle = world.now + SHORT_LOOK + (world.now - began) / 10
            due = vm.transition.at if vm.transition is not None else max(vm.busy_until, idle)
            pause = min(due, deadline) - world.now
        inv.sleep(max(inv.host.real_seconds(pause), SHORTEST_SLEEP))
