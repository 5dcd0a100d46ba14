"""Binds the arguments of a call to the parameters of a cmdlet, as PowerShell does.

`bind` takes one call; `Call` takes one whose objects come from the pipeline one after the other. `Bound` is what the
cmdlet would see, `BindingError` what the caller would. The order of the steps is the engine's
(CmdletParameterBinderController): named arguments, positions, sets, mandatory parameters, pipeline.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.hvsim.contract import CommandContract
from tests.hvsim.description import describe
from tests.hvsim.errors import BindingError, refusal
from tests.hvsim.mandatory import missing, missing_before_input
from tests.hvsim.pipeline import bind_piped
from tests.hvsim.positional import Argument, bind_positional, left_over
from tests.hvsim.slots import Slot
from tests.hvsim.state import State
from tests.hvsim.values import NOTHING, NetObject, Version

__all__ = ["NOTHING", "BindingError", "Bound", "Call", "NetObject", "Version", "bind"]


@dataclass(frozen=True)
class Bound:
    """A call that binds: the parameter set chosen, and the converted values under the parameters' own names."""

    command: CommandContract
    set: str
    values: dict[str, object]

    def described(self) -> dict[str, str]:
        """Each value as ``Type:value``, an array as ``Element[Type:value,...]``."""
        return {name: describe(value, self.command.parameters[name].type) for name, value in self.values.items()}


class Call:
    """A command with its arguments bound, before any object came from the pipeline.

    Making one raises `BindingError` where the engine refuses the arguments. With `expects_input`, parameters that the
    pipeline can fill may be missing until `take`.
    """

    def __init__(self, command: CommandContract, arguments: Sequence[Argument], *, expects_input: bool = False) -> None:
        self.command = command
        self._state = State.of(command)
        left, failure = bind_positional(self._state, _bind_named(self._state, arguments))
        self._state.validate_sets(before_pipeline=True, take_default=False)
        if left:
            raise left_over(left[0], failure)
        count = self._state.validate_sets(before_pipeline=expects_input, take_default=not expects_input)
        if expects_input:
            if count > 1 and _drop_sets_without_pipeline(self._state):
                count = self._state.validate_sets(before_pipeline=True, take_default=False)
            lacking = missing_before_input(self._state, count)
        else:
            lacking = missing(self._state)
        if lacking:
            raise refusal("MissingMandatoryParameter", detail=_names(lacking))
        if not expects_input:
            self._state.settle()

    @property
    def bound(self) -> Bound:
        """What the arguments alone bind."""
        return self._bound(self._state)

    def take(self, piped: object) -> Bound:
        """Bind one object from the pipeline to what the arguments left open.

        Raises `BindingError` with `how` "error": the engine reports it and goes on with the next object.
        """
        state = self._state.copy()
        try:
            bound = bind_piped(state, piped)
            state.settle()
            if not bound:
                raise refusal("InputObjectNotBound")
            if lacking := missing(state):
                raise refusal("InputObjectMissingMandatory", detail=_names(lacking))
        except BindingError as error:
            error.how = "error"
            raise
        return self._bound(state)

    def _bound(self, state: State) -> Bound:
        return Bound(self.command, state.set_name, dict(state.values))


def bind(command: CommandContract, arguments: Sequence[Argument], *, piped: object = NOTHING) -> Bound:
    """Bind `arguments` and the object `piped` in, if any.

    Raises `BindingError` where PowerShell refuses the call.
    """
    if piped is NOTHING:
        return Call(command, arguments).bound
    return Call(command, arguments, expects_input=True).take(piped)


def _bind_named(state: State, arguments: Sequence[Argument]) -> list[Argument]:
    """Bind the arguments whose name means a parameter; gives the others."""
    others: list[Argument] = []
    for name, value in arguments:
        slot = None if name is None else state.layout.named(name)
        if name is None or slot is None:
            others.append((name, value))
        elif slot.parameter.name in state.values:
            raise refusal("ParameterAlreadyBound", name)
        else:
            state.put(slot, value, coerce=True)
    return others


def _drop_sets_without_pipeline(state: State) -> bool:
    """Rule out the possible sets that take nothing from the pipeline; whether any went."""
    taking = 0
    for slot in state.unbound:
        for part in slot.parts_within(state.current):
            if part.takes_pipeline:
                if part.flag == 0:
                    return False
                taking |= part.flag
    before = state.current
    if taking:
        state.current &= taking
    return state.current != before


def _names(slots: Sequence[Slot]) -> str:
    return "".join(f" {slot.parameter.name}" for slot in slots)
