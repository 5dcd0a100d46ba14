"""Binds an object from the pipeline: by value and by property name, first as it is and then with coercion."""

from __future__ import annotations

from enum import Enum

from tests.hvsim.errors import BindingError, TransformationRefused, ValueRefused
from tests.hvsim.slots import Part, Slot
from tests.hvsim.state import State
from tests.hvsim.values import NOTHING, NetObject


class Phase(Enum):
    """The four tries, in their order: what to bind, and whether to coerce it."""

    BY_VALUE = (True, False)
    BY_PROPERTY_NAME = (False, False)
    BY_VALUE_COERCED = (True, True)
    BY_PROPERTY_NAME_COERCED = (False, True)


def bind_piped(state: State, piped: object) -> bool:
    """Bind what of `piped` the unbound parameters take, and choose the set; False if nothing took it.

    A set that the mandatory check put first is tried alone before the others.
    """
    bound = False
    prioritized = state.prioritized
    for sets in (prioritized, None) if prioritized else (None,):
        possible = state.current & ~prioritized if sets is None else sets
        for phase in Phase:
            if not _bind_phase(state, piped, phase, possible):
                continue
            bound = True
            if sets is None:
                state.validate_sets(before_pipeline=True, take_default=True)
                possible = state.current
        if prioritized and state.current == prioritized:
            break
    state.validate_sets(before_pipeline=False, take_default=True)
    return bound


def _bind_phase(state: State, piped: object, phase: Phase, possible: int) -> bool:
    default = state.layout.default
    if possible & default:
        if _bind_in(state, piped, phase, default):
            return True
        possible &= ~default
    return _bind_in(state, piped, phase, possible)


def _bind_in(state: State, piped: object, phase: Phase, sets: int) -> bool:
    bound = False
    for slot in reversed(list(state.unbound)):
        if any(_bind_part(state, slot, part, piped, phase) for part in slot.parts_within(sets)):
            bound = True
    return bound


def _bind_part(state: State, slot: Slot, part: Part, piped: object, phase: Phase) -> bool:
    by_value, coerce = phase.value
    if by_value:
        return part.by_value and _try(state, slot, piped, coerce, by_value)
    if not part.by_property_name:
        return False
    value = _property(slot, piped)
    return value is not NOTHING and _try(state, slot, value, coerce, by_value)


def _try(state: State, slot: Slot, value: object, coerce: bool, by_value: bool) -> bool:
    try:
        return state.put(slot, value, coerce=coerce, wrapped=by_value)
    except ValueRefused:
        raise
    except TransformationRefused:
        if by_value:
            return False
        raise
    except BindingError:
        return False


def _property(slot: Slot, piped: object) -> object:
    """The property of the parameter's name, or else of its first alias that the object has."""
    for name in (slot.parameter.name, *slot.parameter.aliases):
        value: object = NOTHING
        if isinstance(piped, NetObject):
            value = piped.property(name)
        elif isinstance(piped, str) and name.lower() == "length":
            value = len(piped)
        if value is not NOTHING:
            return value
    return NOTHING
