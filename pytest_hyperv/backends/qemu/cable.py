"""From a machine's network card to a private network: the host's end stays, whatever processes the machine lives in."""

from __future__ import annotations

import socket

from pytest_hyperv.backends.qemu.switch import Switch


class Cable:
    """Not plugged in at first: what the guest sends then waits, as in a card that nobody reads from."""

    def __init__(self, *, there: bool) -> None:
        """``there`` says whether the machine has a card for a private network at all."""
        self._there = there
        self._switch: Switch | None = None
        self._loose: socket.socket | None = None

    def new_end(self) -> socket.socket | None:
        """The card's end for a new process of the machine; the process before it must have ended."""
        if not self._there:
            return None
        ours, theirs = socket.socketpair()
        self.drop()
        if self._switch is None:
            self._loose = ours
        else:
            self._switch.attach(ours)
        return theirs

    def loose_end(self) -> socket.socket | None:
        """A card's end that leads nowhere, for a process that never runs its guest."""
        if not self._there:
            return None
        ours, theirs = socket.socketpair()
        ours.close()
        return theirs

    def plug_into(self, switch: Switch) -> None:
        """Lead to ``switch`` from now on; once it does, this changes nothing."""
        if self._switch is switch:
            return
        self._switch, loose, self._loose = switch, self._loose, None
        if loose is not None:
            switch.attach(loose)

    def drop(self) -> None:
        """Let go of an end that was never plugged in; idempotent."""
        if self._loose is not None:
            self._loose.close()
            self._loose = None
