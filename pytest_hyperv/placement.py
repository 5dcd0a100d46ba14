"""Which host a machine is made on, and what becomes of hosts that fail."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property
from typing import TypeVar

from pytest_hyperv.backends.base import Backend
from pytest_hyperv.capabilities import HostFacts, Offer, Requirements
from pytest_hyperv.errors import CapabilityMissing, HostError, HostUnreachable, HypervError, PoolError
from pytest_hyperv.inventory import Host
from pytest_hyperv.pool import Kind, Pool

Made = TypeVar("Made")
NOTHING = HostFacts(0, 0, 0, "", "")
AT_ONCE = 16
"""Hosts that are asked at the same time what they can do."""


class Site:
    """One host of the run. ``drained`` says why it gets no more machines, "" while it does."""

    def __init__(self, host: Host, open_pool: Callable[[Host], Pool]) -> None:
        self.host, self._open_pool = host, open_pool
        self.drained = ""
        self._told: Offer | None = None

    @cached_property
    def pool(self) -> Pool:
        """The machines on the host. Raises CapabilityMissing when its backend does not run here."""
        return self._open_pool(self.host)

    @property
    def is_open(self) -> bool:
        """Whether anything was asked of it."""
        return "pool" in self.__dict__

    def offer(self) -> Offer:
        """What the host has for tests, its limits and tags included. Raises CapabilityMissing, HostError."""
        offer, limits = self.pool.backend.offer(), self.host.limits
        facts = offer.facts
        memory, cpus = min(limits.memory or facts.memory, facts.memory), min(limits.cpus or facts.cpus, facts.cpus)
        self._told = replace(offer, facts=replace(facts, memory=memory, cpus=cpus), tags=self.host.tags)
        return self._told

    def missing(self, needs: Requirements) -> dict[str, str]:
        """What the host lacks of ``needs``, with reasons; of a drained one only what was known before.

        Raises HostError when it cannot be asked.
        """
        if self.drained:
            known, tags = self._told, Requirements(tags=needs.tags)
            return (
                known.missing(needs) if known else Offer(self.host.backend, NOTHING, tags=self.host.tags).missing(tags)
            )
        try:
            return self.offer().missing(needs)
        except CapabilityMissing as error:
            return error.missing or {"backend": error.message}

    def is_meant_by(self, error: HostError) -> bool:
        """Whether an error is about this host: errors have the name in its address."""
        return error.host in re.split(r"[@/?\[\]]|:\d+(?:$|/)", self.host.address)

    def close(self) -> None:
        """End what is left there. Raises the first HypervError."""
        if self.is_open:
            try:
                self.pool.close()
            finally:
                self.pool.backend.close()


class Placement:
    """The hosts of one backend. ``warn`` tells of a host that is given up.

    A host that fails is drained: it gets no more machines in this run, and a test whose machine it could not make gets
    one elsewhere, once. A host that is alone is never drained, for there is no elsewhere.
    """

    def __init__(
        self, hosts: Sequence[Host], open_pool: Callable[[Host], Pool], *, warn: Callable[[str], None]
    ) -> None:
        self.sites = [Site(host, open_pool) for host in hosts]
        self._warn = warn

    @property
    def any(self) -> Site:
        """The first host that still gets machines, or the first one of all."""
        return next(iter(self._alive()), self.sites[0])

    def missing(self, needs: Requirements) -> dict[str, str]:
        """Why no host can do what is needed: each need with its reason, or each host when there are several.

        Raises HostError when the only host cannot be asked, PoolError when a host that could is drained.
        """
        able, lacking = self._sorted(needs)
        if able:
            return {}
        lost = {site.host.name: site.drained for site in self.sites if site.drained and site not in lacking}
        if lost:
            told = "; ".join(f"{name}: {why}" for name, why in lost.items())
            raise PoolError(
                f"no host is left that could run this, the others failed: {told}",
                hint="see whether they are up: `pytest-hyperv doctor --inventory FILE` tries each.",
            )
        if len(self.sites) == 1:
            return lacking[self.sites[0]]
        return {
            site.host.name: ", ".join(f"{name}: {reason}" for name, reason in missing.items())
            for site, missing in lacking.items()
        }

    def lease(
        self,
        needs: Requirements,
        kind: Kind,
        make: Callable[[Pool], Made],
        *,
        count: int = 1,
        home: Backend | None = None,
    ) -> tuple[Site, Made]:
        """What ``make`` leases, ``count`` machines, from the pool of a host; and that host.

        The host is the one that gets the test its machines soonest: one that has room now, of these one that has a
        spare, or the state, or fewest machines of this run. When all are full, the test waits for one of them. Raises
        what ``make`` does, when there is no elsewhere. With a ``home``, a backend of one of the hosts, it is that one,
        or PoolError.
        """
        able, _ = self._sorted(needs)
        if home is not None and able:
            able = [site for site in able if site.is_open and site.pool.backend is home]
            if not able:
                raise PoolError(
                    f"no more machines can be made where the private network of the test is, on {home.summary}",
                    hint="see whether that host is up: `pytest-hyperv doctor`.",
                )
        if not able:
            raise CapabilityMissing("no host can run this", missing=self.missing(needs))
        nearest = sorted(able, key=lambda site: site.pool.distance(kind, count)) if len(able) > 1 else able
        first, *others = nearest
        try:
            return first, make(first.pool)
        except HostError as error:
            gone = self.drained_by(first, error)
            if not others:
                raise
            try:
                moved = others[0], make(others[0].pool)
            except HostError as second:
                self.drained_by(others[0], second)
                second.message = f"{others[0].host.name}: {second.message}; before, {first.host.name}: {error.message}"
                raise
            if not gone:
                self.drain(first, error)
            return moved

    def prepare(self, needs: Requirements, kind: Kind) -> None:
        """Have the state in the cache for every host that can run it. Raises what ``Pool.prepare`` raises."""
        for site in self._sorted(needs)[0]:
            try:
                site.pool.prepare(kind.spec, kind.state)
            except HostError as error:
                if not self.drained_by(site, error) or not self._alive():
                    raise

    def drained_by(self, site: Site, error: HostError) -> bool:
        """Drain a host if the error says by itself that it is of no more use; otherwise the test may be at fault."""
        if isinstance(error, HostUnreachable):
            self.drain(site, error)
        return bool(site.drained)

    def lost(self, site: Site, error: HostError) -> None:
        """Drain the host of a test's machine if it is the one that was lost while the test ran."""
        if site.is_meant_by(error):
            self.drain(site, error)

    def drain(self, site: Site, error: HypervError) -> None:
        """Make no more machines on a host, unless it is the only one."""
        if len(self.sites) == 1 or site.drained:
            return
        site.drained = error.message
        self._warn(f"{site.host.name} gets no more machines in this run: {error.message}")

    def _alive(self) -> list[Site]:
        return [site for site in self.sites if not site.drained]

    def _sorted(self, needs: Requirements) -> tuple[list[Site], dict[Site, dict[str, str]]]:
        """The hosts that can, and what others lack; a drained one is in neither when it could, as far as is known."""
        able: list[Site] = []
        lacking: dict[Site, dict[str, str]] = {}
        for site, found in zip(self.sites, self._ask(needs), strict=True):
            if isinstance(found, HostError):
                if len(self.sites) == 1:
                    raise found
                self.drain(site, found)
            elif found:
                lacking[site] = found
            elif not site.drained:
                able.append(site)
        return able, lacking

    def _ask(self, needs: Requirements) -> list[dict[str, str] | HostError]:
        """What each host lacks, or why it does not say; hosts that were not asked before are asked at once."""
        for site in self._alive():
            site.pool  # noqa: B018 - opened by one thread
        if len(self.sites) == 1:
            return [_asked(self.sites[0], needs)]
        with ThreadPoolExecutor(AT_ONCE, "pytest-hyperv-hosts") as threads:
            return list(threads.map(lambda site: _asked(site, needs), self.sites))


def _asked(site: Site, needs: Requirements) -> dict[str, str] | HostError:
    try:
        return site.missing(needs)
    except HostError as error:
        return error
