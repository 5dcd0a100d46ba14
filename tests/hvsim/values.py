"""Values on their way through the binder: objects of .NET classes, and values that are of a named type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True)
class NetObject:
    """An object of a .NET class that Python has no counterpart for.

    `type_names` holds the class and its bases, most derived first; ``Deserialized.`` before each marks a copy that came
    over a connection, which is not of the class any more. `text` is what its ToString() gives.
    """

    type_names: tuple[str, ...]
    properties: Mapping[str, object] = field(default_factory=dict)
    text: str = ""

    def property(self, name: str) -> object:
        """The property of that name, in any case, or `NOTHING`."""
        for known, value in self.properties.items():
            if known.lower() == name.lower():
                return value
        return NOTHING

    def __str__(self) -> str:
        return self.text or self.type_names[0].removeprefix("Deserialized.")


class Nothing:
    """The type of `NOTHING`."""

    def __repr__(self) -> str:
        return "NOTHING"


NOTHING: Final = Nothing()
"""No value at all, where None would be PowerShell's $null."""
