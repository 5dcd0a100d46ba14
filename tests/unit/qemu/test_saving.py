"""A guest is given time to write what it has put off before it is saved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest

from pytest_hyperv.backends.qemu.saving import quieten
from pytest_hyperv.errors import CommandFailed, GuestCrashed
from pytest_hyperv.guest import GuestSession


class Guest:
    """Notes what it is asked to run, and fails as it is told."""

    def __init__(self, error: Exception | None = None) -> None:
        self.ran: list[str] = []
        self._error = error

    def run(self, argv: Sequence[str], **_: Any) -> None:
        self.ran.append(" ".join(argv))
        if self._error is not None:
            raise self._error


def test_a_linux_guest_writes_out_what_is_dirty() -> None:
    guest = Guest()
    quieten(cast("GuestSession", guest), "linux")
    assert len(guest.ran) == 1
    assert "sync" in guest.ran[0]


def test_other_guests_are_left_alone() -> None:
    guest = Guest()
    quieten(cast("GuestSession", guest), "windows")
    assert guest.ran == []


def test_a_guest_without_the_program_is_saved_all_the_same() -> None:
    quieten(cast("GuestSession", Guest(CommandFailed("there is no sh"))), "linux")


def test_a_guest_that_dies_is_not() -> None:
    with pytest.raises(GuestCrashed):
        quieten(cast("GuestSession", Guest(GuestCrashed("panic", kind="panic", text=""))), "linux")
