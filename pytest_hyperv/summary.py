"""What a run made, where, and how long tests waited for it; collected from every worker, told once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Protocol

import pytest

KEY = "hyperv_figures"


@dataclass
class Figures:
    """Counts, and seconds that tests waited.

    ``where`` names backends and what they run on, ``images`` the images used.
    """

    machines: int = 0
    spares_used: int = 0
    states_built: int = 0
    waited: float = 0.0
    where: list[str] = field(default_factory=list)
    images: list[str] = field(default_factory=list)

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


RUN = pytest.StashKey[Run]()
"""On the config: what this process holds, once a test has needed a machine."""
FIGURES = pytest.StashKey[Figures]()


def finish(config: pytest.Config) -> None:
    """Close what this process holds, if anything, and keep its figures for the summary or for the controller."""
    run = config.stash.get(RUN, None)
    if run is None:
        return
    try:
        run.close()
    finally:
        _figures(config).add(run.figures())
    output: dict[str, Any] | None = getattr(config, "workeroutput", None)
    if output is not None:
        output[KEY] = asdict(_figures(config))


def take_over(config: pytest.Config, output: Mapping[str, Any]) -> None:
    """Add the figures that a worker handed on."""
    if KEY in output:
        _figures(config).add(Figures(**output[KEY]))


def lines(config: pytest.Config) -> list[str]:
    """The summary: one line when machines were made, none otherwise."""
    figures = config.stash.get(FIGURES, None)
    if figures is None or not figures.machines:
        return []
    each = figures.waited / figures.machines
    made = f"{figures.machines} machine{'s' if figures.machines > 1 else ''} of {', '.join(figures.images)}"
    how = f"{figures.waited:.1f} s waited ({each * 1000:.0f} ms each), {figures.spares_used} from a warm spare"
    built = (
        f", {figures.states_built} state{'s' if figures.states_built > 1 else ''} built" if figures.states_built else ""
    )
    return [f"hyperv: {'; '.join(figures.where)}: {made}, {how}{built}"]


def _figures(config: pytest.Config) -> Figures:
    return config.stash.setdefault(FIGURES, Figures())
