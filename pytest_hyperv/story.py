"""What a test's report says about its machines. Plain data: it travels from xdist's workers to the controller."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

ATTRIBUTE = "hyperv_stories"
"""The attribute of pytest's report that holds the stories, each as a mapping."""


@dataclass(frozen=True)
class Exhibit:
    """One file of evidence.

    ``kind``: facts, transcript, screenshot, console, journal, crash, dump, file. ``path`` is relative to the folder
    of artifacts and has forward slashes; ``note`` says what a reader must know, for example that it was cut.
    """

    kind: str
    path: str
    note: str = ""


@dataclass(frozen=True)
class Story:
    """One machine of one test.

    ``outcome`` is "" for a test that passed, else crash, timeout, infrastructure or assertion. ``state`` is the name
    of the state the machine was made from, "" for the booted image. ``crash`` is what the guest left when it died,
    ``enter`` the command that leads into the machine when it was kept, ``text`` what a person reads first.
    """

    machine: str
    backend: str
    host: str
    image: str
    state: str
    outcome: str = ""
    crash: str = ""
    enter: str = ""
    text: str = ""
    exhibits: tuple[Exhibit, ...] = ()

    def to_data(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return asdict(self)

    @classmethod
    def of_data(cls, data: Mapping[str, Any]) -> Story:
        """The story that ``to_data`` wrote. Raises TypeError and KeyError for anything else."""
        return cls(**{**data, "exhibits": tuple(Exhibit(**each) for each in data["exhibits"])})
