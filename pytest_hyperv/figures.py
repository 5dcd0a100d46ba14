"""What a run of tests made of machines, in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol


@dataclass
class Figures:
    """Counts, and seconds that tests waited.

    ``where`` names backends and what they run on, ``images`` the images used, ``failures`` what could not be
    ended. ``states`` are the uses of states, each as a mapping. ``reopened`` has a line for each session that was saved
    with a state, did not answer and was opened anew, ``kept`` one for each machine that was to be kept.
    """

    machines: int = 0
    spares_used: int = 0
    states_built: int = 0
    waited: float = 0.0
    where: list[str] = field(default_factory=list)
    images: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    states: list[dict[str, Any]] = field(default_factory=list)
    reopened: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)

    def add(self, other: Figures) -> None:
        """Take in the figures of another process."""
        self.machines += other.machines
        self.spares_used += other.spares_used
        self.states_built += other.states_built
        self.waited += other.waited
        self.where = sorted({*self.where, *other.where})
        self.images = sorted({*self.images, *other.images})
        self.failures = sorted({*self.failures, *other.failures})
        self.states += other.states
        self.reopened += other.reopened
        self.kept += other.kept

    def to_data(self) -> Mapping[str, Any]:
        """As it travels to the controller, whose ``Figures(**data)`` it becomes."""
        return asdict(self)


class Run(Protocol):
    """What this process holds of machines."""

    def figures(self) -> Figures:
        """What it did so far."""
        ...

    def close(self) -> None:
        """End all of it."""
        ...
