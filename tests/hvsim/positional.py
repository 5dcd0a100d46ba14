"""Binds arguments without a name to the parameters at their positions."""

from __future__ import annotations

from collections.abc import Sequence

from tests.hvsim.errors import BindingError, TransformationRefused, ValueRefused, refusal
from tests.hvsim.slots import Part, Slot
from tests.hvsim.state import State
from tests.hvsim.values import net_text

Argument = tuple[str | None, object]
"""Parameter name as the caller wrote it, None for an argument by position, and the value."""

Places = dict[int, dict[Slot, list[Part]]]


def bind_positional(state: State, arguments: Sequence[Argument]) -> tuple[list[Argument], BindingError | None]:
    """Bind those of `arguments` that have no name: each first as it is, in the default set and then in any, and then
    with coercion.

    Gives what is left over, in the engine's order, and the failure of the last argument that was tried.
    """
    left: list[Argument] = []
    failure: BindingError | None = None
    places = _places(state) if arguments else {}
    waiting = list(arguments)
    for position in sorted(places):
        if not places[position]:
            continue
        argument = _next_unnamed(waiting, left)
        if argument is None:
            break
        possible = state.current
        bound, failure = _bind_at(state, places[position], argument[1], possible)
        if not bound:
            left.append(argument)
        elif state.current != possible:
            _narrow(places, state.current)
    return left + waiting, failure


def left_over(argument: Argument, failure: BindingError | None) -> BindingError:
    """The refusal of an argument that found no parameter, in the words of the last `failure` if there was one."""
    name, value = argument
    if name is not None:
        return refusal("NamedParameterNotFound", name)
    return failure or refusal("PositionalParameterNotFound", "$null" if value is None else net_text(value))


def _next_unnamed(waiting: list[Argument], left: list[Argument]) -> Argument | None:
    """Take the next argument without a name; an unknown name before it takes the argument after it along."""
    while waiting:
        argument = waiting.pop(0)
        if argument[0] is None:
            return argument
        left.append(argument)
        if waiting and waiting[0][0] is None:
            left.append(waiting.pop(0))
    return None


def _places(state: State) -> Places:
    places: Places = {}
    for slot in state.unbound:
        for part in slot.parts_within(state.current):
            if part.position is None:
                continue
            here = places.setdefault(part.position, {})
            taken = [other for known, parts in here.items() if known is not slot for other in parts]
            if any(other.flag == part.flag or other.flag & part.flag for other in taken):
                raise refusal("AmbiguousPositionalParameterNoName")
            here.setdefault(slot, []).append(part)
    return places


def _bind_at(
    state: State, here: dict[Slot, list[Part]], argument: object, possible: int
) -> tuple[bool, BindingError | None]:
    failure: BindingError | None = None
    default = state.layout.default
    for coerce in (False, True):
        if possible & default:
            bound, failure = _bind_in(state, here, argument, default, coerce)
            if bound:
                return True, failure
        bound, failure = _bind_in(state, here, argument, possible, coerce)
        if bound:
            return True, failure
    return False, failure


def _bind_in(
    state: State, here: dict[Slot, list[Part]], argument: object, sets: int, coerce: bool
) -> tuple[bool, BindingError | None]:
    bound = False
    failure: BindingError | None = None
    for slot, parts in here.items():
        for part in parts:
            if not part.within(sets):
                continue
            try:
                done = state.put(slot, argument, coerce=coerce)
            except (ValueRefused, TransformationRefused):
                raise
            except BindingError as error:
                failure = error
                continue
            if done:
                bound = True
                break
    return bound, failure


def _narrow(places: Places, sets: int) -> None:
    """Forget the parts, and then the parameters, that are in none of `sets`."""
    for here in places.values():
        for slot in list(here):
            here[slot] = [part for part in here[slot] if part.within(sets)]
            if not here[slot]:
                del here[slot]
