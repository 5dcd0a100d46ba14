"""What a call still lacks, and which sets stay possible, once its arguments are bound.

Without pipeline input every unbound parameter that a possible set demands is missing. With it, parameters that objects
from the pipeline may fill are not missing yet, and the demands of the sets decide which of them to keep.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.hvsim.slots import ANY_SET, Part, Slot, count_sets
from tests.hvsim.state import State, ambiguous


@dataclass
class Demands:
    """The unbound mandatory parameters of one set, `ANY_SET` for those of every set."""

    flag: int
    is_default: bool
    by_value: list[Slot] = field(default_factory=list)
    by_property_name: list[Slot] = field(default_factory=list)
    from_pipeline: list[Slot] = field(default_factory=list)
    from_caller: list[Slot] = field(default_factory=list)

    @property
    def everywhere(self) -> bool:
        """Whether these are the demands of every set."""
        return self.flag == ANY_SET

    def add(self, slot: Slot, part: Part) -> None:
        """Note the parameter under where its value can come from."""
        if not part.takes_pipeline:
            self.from_caller.append(slot)
            return
        self.from_pipeline.append(slot)
        if part.by_value:
            self.by_value.append(slot)
        if part.by_property_name:
            self.by_property_name.append(slot)


def missing(state: State) -> list[Slot]:
    """The unbound parameters that a possible set demands, when no more input can come."""
    return [slot for slot in state.unbound if any(part.mandatory for part in slot.parts_within(state.current))]


def missing_before_input(state: State, set_count: int) -> list[Slot]:
    """The parameters that only the caller can give; rules out sets that the pipeline cannot complete.

    `set_count` is what the set validation counted. Raises `BindingError` AmbiguousParameterSet.
    """
    demands = _collect(state)
    if not demands:
        return []
    default = state.layout.default
    of_all = state.layout.all_sets or ANY_SET
    demanding = state.current & (of_all if _of_every_set(demands) else _union(demands))
    if not demanding:
        demanding = state.current
    if set_count > 1 and default and not default & demanding and default & state.current:
        others = (d for d in demands if d.flag & state.current and not d.flag & default and not d.everywhere)
        if not any(d.from_pipeline for d in others):
            demanding = state.current & ~demanding
            state.current = demanding
            if state.current != default:
                state.prioritized = default
    return _decide(state, demands, demanding)


def _collect(state: State) -> list[Demands]:
    found: dict[int, Demands] = {}
    default = state.layout.default
    for slot in state.unbound:
        for part in slot.parts_within(state.current):
            if part.mandatory:
                flag = part.flag or ANY_SET
                found.setdefault(flag, Demands(flag, bool(default & flag))).add(slot, part)
    return list(found.values())


def _union(demands: Iterable[Demands]) -> int:
    flags = 0
    for one in demands:
        if not one.everywhere:
            flags |= one.flag
    return flags


def _of_every_set(demands: Iterable[Demands]) -> bool:
    return any(one.everywhere for one in demands)


def _decide(state: State, demands: list[Demands], demanding: int) -> list[Slot]:
    count = count_sets(demanding)
    if count == 0:
        raise ambiguous()
    if count == 1:
        return _for_caller(demands, demanding)
    if state.prioritized:
        return []
    if state.layout.default & demanding and _default_wins(demands, state.layout.default):
        state.current = state.layout.default
        return _for_caller(demands, state.layout.default)
    return _without_default(state, demands, demanding)


def _default_wins(demands: list[Demands], default: int) -> bool:
    """Whether the default set is taken: unless another one could live on the pipeline alone and the default cannot."""
    others = [one for one in demands if not one.everywhere and not one.is_default]
    other_by_pipeline = any(one.from_pipeline and not one.from_caller for one in others)
    if not other_by_pipeline:
        return True
    own = next((one for one in demands if one.flag == default), None)
    if own is not None and own.by_property_name and not any(one.by_property_name for one in others):
        return True
    return any(one.everywhere and one.from_caller for one in demands)


def _without_default(state: State, demands: list[Demands], demanding: int) -> list[Slot]:
    candidates = [one for one in demands if not one.everywhere and one.flag & demanding]
    by_value = [one.flag for one in candidates if one.by_value]
    by_property_name = [one.flag for one in candidates if one.by_property_name]
    unique = _unique(by_value, by_property_name)
    if unique:
        return _prefer(state, demands, unique)
    lacking = [one for one in demands if (one.everywhere or one.flag & demanding) and one.from_caller]
    if not lacking:
        return []
    if len(by_value) == 1:
        return _prefer(state, demands, by_value[0])
    if len(by_value) < 2 and len(by_property_name) < 2:
        raise ambiguous()
    _rule_out(state, _union(lacking))
    if not state.current:
        raise ambiguous()
    return []


def _unique(by_value: list[int], by_property_name: list[int]) -> int:
    """The one set that the pipeline can serve, 0 if there are several or none."""
    value = by_value[0] if len(by_value) == 1 else 0
    name = by_property_name[0] if len(by_property_name) == 1 else 0
    if by_value and by_property_name:
        return value if value == name else 0
    return value or name


def _prefer(state: State, demands: list[Demands], chosen: int) -> list[Slot]:
    """Keep the chosen set; also those that demand nothing of their own, unless the caller must complete the chosen."""
    if any(one.flag == chosen and one.from_caller for one in demands):
        state.current = chosen
    else:
        _rule_out(state, _union(one for one in demands if one.flag != chosen))
        if state.current != chosen:
            state.prioritized = chosen
    return _for_caller(demands, chosen)


def _rule_out(state: State, sets: int) -> None:
    if sets:
        possible = state.layout.all_sets if state.current == ANY_SET else state.current
        state.current = possible & ~sets


def _for_caller(demands: list[Demands], chosen: int) -> list[Slot]:
    return [slot for one in demands if one.everywhere or one.flag & chosen for slot in one.from_caller]
