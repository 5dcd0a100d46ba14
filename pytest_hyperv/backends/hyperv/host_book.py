"""The book of leases on a Hyper-V host, shared by the runs of all computers that use the host.

It is one file in the store's folder there. A script on the host replaces it as a whole, if nobody else did so since it
was read, so that all counting is done here. Who dies without a word is forgotten at once by processes beside it, by
others once it was not heard of for `EXPIRY` seconds of the host's clock; who lives is heard of by `RENEWAL`. The book
has a PowerShell process of its own on the host, because a long command must not keep anybody from being heard of.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from pytest_hyperv import lease_entries
from pytest_hyperv.backends.hyperv.book_pages import EXPIRY, Guest, Pages
from pytest_hyperv.backends.hyperv.scripts import text
from pytest_hyperv.errors import CmdletError, CommandTimeout, HostError, HostUnreachable, HypervError, SessionLost
from pytest_hyperv.lease_entries import Entry
from pytest_hyperv.leases import Budget, Holding, Lease, Need, Refusal
from pytest_hyperv.psrp.calls import Script
from pytest_hyperv.psrp.client import Session
from pytest_hyperv.psrp.dotnet import PSObject

Result = TypeVar("Result")

RENEWAL = EXPIRY / 4
LOCK_TIMEOUT, CALL_TIMEOUT = 30.0, 60.0
"""Seconds for which others may be at the book, each of them there for milliseconds; and what one call may take."""
RACES = 1000
"""How often others may be quicker in a row; each time one of them has got on."""


class HostBook:
    """See :class:`~pytest_hyperv.leases.LeaseBook`. ``close`` strikes out what this process still has in it."""

    pace = 0.5

    def __init__(
        self,
        open_process: Callable[[], Session],
        find_folder: Callable[[], str],
        find_kept: Callable[[], list[Entry[str]]],
        *,
        host: str,
    ) -> None:
        """``find_folder`` tells where on the host the book lies, ``find_kept`` what machines hold whose runs ended."""
        self._open_process, self._find_folder, self._find_kept, self._host = open_process, find_folder, find_kept, host
        self._own = uuid.uuid4().hex
        self._process: Session | None = None
        self._text, self._ahead = "", 0.0
        self._mine: dict[str, Entry[str]] = {}
        self._lock, self._closed = threading.RLock(), threading.Event()
        self._heart: threading.Thread | None = None

    def take(self, leases: Sequence[Lease], budget: Budget) -> Refusal | None:
        """Note all of ``leases``, or none and say why."""
        kept = self._find_kept()

        def change(pages: Pages) -> Refusal | None:
            refused = lease_entries.take(pages.entries, kept, leases, budget, self._own, self._now())
            if refused is None:
                return None
            return Refusal(pages.told(refused.held, self._own), pages.told(refused.ahead, self._own))

        return self._turn(change)

    def change(self, lease: Lease) -> None:
        """Note anew what a held lease is for."""
        self._turn(lambda pages: lease_entries.change(pages.entries, lease))

    def give_back(self, leases: Iterable[Lease]) -> None:
        """Strike out leases, held or waited for."""
        gone = list(leases)
        if gone:
            self._turn(lambda pages: lease_entries.strike_out(pages.entries, gone))

    def held(self) -> tuple[Holding, ...]:
        """What is held, oldest first."""
        pages = self._look()
        held = [*(entry for entry in pages.entries if not entry.turn), *self._find_kept()]
        return pages.told(sorted(held, key=lambda entry: entry.since), self._own)

    def waiting(self) -> tuple[Holding, ...]:
        """What is waited for, in the order in which it is served."""
        pages = self._look()
        held = [entry for entry in pages.entries if not entry.turn]
        return pages.told(lease_entries.in_order([entry for entry in pages.entries if entry.turn], held), self._own)

    @contextmanager
    def alone(self, at: str, timeout: float) -> Iterator[None]:
        """Be the only one of all computers that is at something on the host. Raises HostError after ``timeout``."""
        token = Lease(uuid.uuid4().hex, Need(0, 0, 0), f"alone at {at}", spare=True)
        end = time.monotonic() + timeout
        while not self._turn(lambda pages: self._grasp(pages, token)):
            if time.monotonic() >= end:
                raise HostError(
                    f"others have been at {at} on {self._host} for {timeout:.0f} s",
                    hint="see what they do: their leases are in the book on the host.",
                    host=self._host,
                )
            time.sleep(self.pace)
        try:
            yield
        finally:
            self.give_back([token])

    def _grasp(self, pages: Pages, token: Lease) -> bool:
        """Enter the token unless another one is there for the same; it may be there since a turn that was not heard."""
        there = [entry.lease.id for entry in pages.entries if entry.lease.purpose == token.purpose]
        if not there:
            pages.entries.append(Entry(token, self._own, self._now()))
        return not there or there == [token.id]

    @property
    def signature(self) -> tuple[str, str]:
        """What this process is called in the book, and who it is in words."""
        return self._own, str(Guest.own(0))

    def living(self) -> set[str]:
        """What those are called who hold something, or wait."""
        return {entry.owner for entry in self._look().entries}

    def close(self) -> None:
        """Leave the book; idempotent. What cannot be struck out is forgotten by the others."""
        self._closed.set()
        if self._heart is not None:
            self._heart.join()
        with self._lock:
            try:
                if self._mine:
                    self.give_back([entry.lease for entry in self._mine.values()])
            except HypervError:
                self._mine.clear()
            self._end_process()

    # -- one turn at the book

    def _turn(self, change: Callable[[Pages], Result]) -> Result:
        """Change the book as one step beside all others, with everything in it that is ours."""
        with self._lock:
            for _ in range(RACES):
                pages = self._pages()
                result = change(pages)
                if self._write(pages):
                    self._mine = {entry.lease.id: entry for entry in pages.entries if entry.owner == self._own}
                    self._beat()
                    return result
        raise HostError(
            f"the book of leases on {self._host} changes too fast", hint="run fewer workers at once.", host=self._host
        )

    def _look(self) -> Pages:
        with self._lock:
            self._text = str(self._call("").Text)
            return self._pages()

    def _pages(self) -> Pages:
        """The book as far as it is known, with what is ours put back if others took us for dead."""
        if self._process is None:
            self._text = str(self._call("").Text)
        pages = Pages.read(self._text, self._now())
        there = {entry.lease.id for entry in pages.entries}
        pages.entries += [entry for ident, entry in self._mine.items() if ident not in there]
        pages.guests[self._own] = Guest.own(self._now())
        return pages

    def _write(self, pages: Pages) -> bool:
        """Put the book in the place of the one that was read; False when it is another one by now."""
        new = pages.text()
        told = self._call(new)
        self._text = str(told.Text)
        return bool(told.Written) or self._text == new

    def _call(self, new: str) -> PSObject:
        """Ask the script on the host; once more over a new process when the old one is lost."""
        try:
            return self._once(new)
        except SessionLost:
            self._end_process()
        try:
            return self._once(new)
        except SessionLost as lost:
            self._end_process()
            raise HostUnreachable(
                f"the book of leases on {self._host} cannot be reached: {lost.message}",
                hint="see whether the host is up; `pytest-hyperv doctor` tries it.",
                host=self._host,
            ) from lost

    def _once(self, new: str) -> PSObject:
        if self._process is None:
            self._process = self._open_process()
        script = Script(
            text("lease-book"),
            Folder=self._find_folder(),
            Expected=self._text,
            New=new,
            TimeoutMilliseconds=int(LOCK_TIMEOUT * 1000),
        )
        try:
            told: PSObject = self._process.call(script.in_local_scope(), timeout=CALL_TIMEOUT).one
        except (CmdletError, CommandTimeout) as error:
            raise HostError(
                f"the book of leases on {self._host} cannot be kept: {error.message}",
                hint="see the rights on its folder there, and the free space of that drive.",
                host=self._host,
            ) from error
        self._ahead = told.Now / 1000 - time.monotonic()
        return told

    def _now(self) -> float:
        """The host's time, in seconds since 1970."""
        return time.monotonic() + self._ahead

    def _end_process(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.close()

    # -- being heard of

    def _beat(self) -> None:
        if self._heart is None and self._mine and not self._closed.is_set():
            self._heart = threading.Thread(target=self._renew, name="pytest-hyperv-leases", daemon=True)
            self._heart.start()

    def _renew(self) -> None:
        while not self._closed.wait(RENEWAL):
            try:
                if self._mine:
                    self._turn(lambda _: None)
            except HypervError:
                continue  # whoever next needs the host says what is wrong with it
