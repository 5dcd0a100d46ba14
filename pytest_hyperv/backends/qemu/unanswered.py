"""The one failure that says something of a saved machine rather than of a clone of it."""

from __future__ import annotations

from pytest_hyperv.errors import SessionLost


class Unanswered(SessionLost):
    """A session that was saved with a guest does not answer, and none could be opened in its place."""
