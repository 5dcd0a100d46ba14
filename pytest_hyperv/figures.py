"""What a run of tests made of machines, in numbers."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Protocol


@dataclass
class Figures:
    """Counts, and seconds that tests waited.

    ``where`` names backends and what they run on, ``images`` the images used, ``failures`` what could not be
    ended.
    """

    machines: int = 0
    spares_used: int = 0
    states_built: int = 0
    waited: float = 0.0
    where: list[str] = field(default_factory=list)
    images: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def add(self, other: Figures) -> None:
        """Take in the figures of another process."""
        for part in fields(self):
            mine, theirs = getattr(self, part.name), getattr(other, part.name)
            setattr(self, part.name, sorted({*mine, *theirs}) if isinstance(mine, list) else mine + theirs)


class Run(Protocol):
    """What this process holds of machines."""

    def figures(self) -> Figures:
        """What it did so far."""
        ...

    def close(self) -> None:
        """End all of it."""
        ...
