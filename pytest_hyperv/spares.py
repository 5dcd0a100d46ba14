"""Machines that are warm, or about to be, for tests to come."""

from __future__ import annotations

import threading
from collections.abc import Hashable
from concurrent.futures import Future
from typing import Generic, TypeVar

from pytest_hyperv.backends.base import Machine

Kind = TypeVar("Kind", bound=Hashable)


class Spares(Generic[Kind]):
    """What is warmed, by kind, oldest first. Whoever takes one out has it alone; safe from any thread."""

    def __init__(self) -> None:
        self._waiting: dict[Kind, list[Future[Machine]]] = {}
        self._lock = threading.Lock()

    def add(self, kind: Kind, spare: Future[Machine]) -> None:
        """One more that is under way."""
        with self._lock:
            self._waiting.setdefault(kind, []).append(spare)

    def count(self, kind: Kind) -> int:
        """How many of a kind there are, or are under way."""
        with self._lock:
            return len(self._waiting.get(kind, ()))

    def take(self, kind: Kind) -> Future[Machine] | None:
        """The oldest of a kind, finished or not."""
        with self._lock:
            waiting = self._waiting.get(kind)
            return waiting.pop(0) if waiting else None

    def take_idle(self) -> Machine | None:
        """One that is warm, of any kind; None when there is none now."""
        with self._lock:
            for waiting in self._waiting.values():
                for spare in [each for each in waiting if each.done()]:
                    waiting.remove(spare)
                    if not spare.cancelled() and spare.exception() is None:
                        return spare.result()
        return None

    def under_way(self) -> list[Future[Machine]]:
        """Those that are not warm yet."""
        with self._lock:
            return [spare for waiting in self._waiting.values() for spare in waiting if not spare.done()]

    def any(self) -> bool:
        """Whether there is one at all."""
        with self._lock:
            return any(self._waiting.values())
