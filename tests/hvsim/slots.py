"""The parameters of a command as the binder looks at them: sets as bits, names by exact match, alias and prefix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from tests.hvsim.contract import ALL_SETS, CommandContract, Parameter
from tests.hvsim.errors import refusal

ANY_SET = 2**32 - 1
"""No set is chosen and none is ruled out."""


@dataclass(frozen=True)
class Part:
    """What a parameter is in one set; `flag` is 0 for a part in every set."""

    flag: int
    mandatory: bool
    position: int | None
    by_value: bool
    by_property_name: bool

    @property
    def takes_pipeline(self) -> bool:
        """Whether objects from the pipeline, or their properties, bind here."""
        return self.by_value or self.by_property_name

    def within(self, sets: int) -> bool:
        """Whether the part belongs to one of `sets`."""
        return self.flag == 0 or bool(self.flag & sets)


@dataclass(frozen=True, eq=False)
class Slot:
    """A parameter with its parts; `flags` are the sets that name it, 0 where it is in every set."""

    parameter: Parameter
    parts: tuple[Part, ...]
    flags: int

    def parts_within(self, sets: int) -> list[Part]:
        """The parts that belong to one of `sets`."""
        return [part for part in self.parts if part.within(sets)]


@dataclass(frozen=True, eq=False)
class Layout:
    """All slots of a command, and the bits of its sets; `default` is 0 without a default set."""

    slots: tuple[Slot, ...]
    sets: tuple[str, ...]
    default: int

    @property
    def all_sets(self) -> int:
        """The bits of all sets."""
        return int(2 ** len(self.sets)) - 1

    def set_name(self, current: int) -> str:
        """The name of the set that `current` stands for, empty if it stands for several."""
        if current in (ANY_SET, 0):
            return self.sets[0] if self.default else ALL_SETS
        bit = current.bit_length() - 1
        return self.sets[bit] if current == 1 << bit and bit < len(self.sets) else ""

    def named(self, name: str) -> Slot | None:
        """The slot that `name` means: the whole name, a whole alias, or the beginning of just one parameter.

        A beginning that fits one documented parameter and common ones means the documented one.
        Raises `BindingError` AmbiguousParameter.
        """
        wanted = name.lower()
        if wanted[:1] in ("-", "\u2013", "\u2014", "\u2015"):
            wanted = wanted[1:]
        for slot in self.slots:
            if slot.parameter.name.lower() == wanted:
                return slot
        matches = [slot for slot in self.slots if slot.parameter.name.lower().startswith(wanted)]
        for slot in self.slots:
            for alias in slot.parameter.aliases:
                if alias.lower() == wanted:
                    return slot
                if alias.lower().startswith(wanted) and slot not in matches:
                    matches.append(slot)
        if len(matches) <= 1:
            return matches[0] if matches else None
        declared = [slot for slot in matches if slot.parameter.origin == "declared"]
        if len(declared) == 1:
            return declared[0]
        detail = "".join(f" -{slot.parameter.name}" for slot in matches)
        raise refusal("AmbiguousParameter", name.lstrip("-"), detail=detail)


def count_sets(sets: int) -> int:
    """How many sets are still possible, where `ANY_SET` counts as one."""
    return 1 if sets == ANY_SET else sets.bit_count()


@cache
def layout(command: CommandContract) -> Layout:
    """The slots and set bits of `command`; the default set, if it has one, has the first bit."""
    names: list[str] = []
    default = command.default_set if command.default_set != ALL_SETS else ""
    if default:
        names.append(default)
    slots = [_slot(parameter, names) for parameter in command.parameters.values()]
    return Layout(tuple(slots), tuple(names), 1 if default else 0)


def _slot(parameter: Parameter, names: list[str]) -> Slot:
    parts: list[Part] = []
    for set_name, part in parameter.sets.items():
        flag = 0
        if set_name != ALL_SETS:
            if set_name not in names:
                names.append(set_name)
            flag = 1 << names.index(set_name)
        parts.append(Part(flag, part.mandatory, part.position, parameter.by_value, parameter.by_property_name))
    return Slot(parameter, tuple(parts), sum(part.flag for part in parts))


def mandatory_flags(slots: Sequence[Slot]) -> int:
    """The sets that demand one of `slots`."""
    flags = 0
    for slot in slots:
        for part in slot.parts:
            if part.mandatory:
                flags |= part.flag
    return flags
