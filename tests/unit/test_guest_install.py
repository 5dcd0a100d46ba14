"""Bringing the server into a guest that is not fit for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

import pytest

from pytest_hyperv.backends.qemu.guest_install import FOLDER, SERVER, install_server
from pytest_hyperv.errors import CommandFailed, GuestError
from pytest_hyperv.guest import CommandResult, GuestSession


class ScriptedGuest:
    """Answers one script after the other with a prepared exit code and standard error, and keeps what it is given."""

    def __init__(self, *answers: tuple[int, bytes]) -> None:
        self._answers = list(answers)
        self.ran: list[tuple[str, ...]] = []
        self.files: dict[str, tuple[bytes, int]] = {}

    def run(self, argv: Sequence[str], **_: Any) -> CommandResult:
        self.ran.append(tuple(argv))
        code, complaint = self._answers.pop(0)
        return CommandResult(tuple(argv), code, b"", complaint, 0.0)

    def write_file(self, path: str, data: Iterable[bytes], *, mode: int, timeout: float) -> None:
        assert timeout > 0
        self.files[path] = (b"".join(data), mode)


def install(guest: ScriptedGuest) -> None:
    install_server(cast(GuestSession, guest), "org.pytest.hyperv.0")


def test_the_server_is_pushed_private_to_root_and_started_on_the_port() -> None:
    guest = ScriptedGuest((0, b""), (0, b""))
    install(guest)
    program, mode = guest.files[SERVER]
    assert program.startswith(b"#!/usr/bin/perl")
    assert mode == 0o700
    assert guest.ran[1][4:7] == (FOLDER, SERVER, "org.pytest.hyperv.0")


def test_a_guest_without_perl_is_told_apart_and_nothing_is_pushed() -> None:
    guest = ScriptedGuest((3, b""))
    with pytest.raises(GuestError, match="the guest has no perl") as caught:
        install(guest)
    assert "perl-base" in caught.value.hint
    assert not guest.files


def test_a_folder_that_cannot_be_made_is_an_error_with_the_guests_words() -> None:
    with pytest.raises(CommandFailed, match="Read-only file system"):
        install(ScriptedGuest((1, b"mkdir: cannot create directory: Read-only file system")))


def test_a_server_that_does_not_start_is_an_error_with_its_words() -> None:
    guest = ScriptedGuest(
        (0, b""), (1, b"guest_server: /dev/virtio-ports/org.pytest.hyperv.0: Device or resource busy\n")
    )
    with pytest.raises(GuestError, match=r"did not start on port org\.pytest\.hyperv\.0: .*Device or resource busy"):
        install(guest)
