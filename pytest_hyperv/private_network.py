"""The private network of one test: its machines, their addresses and names. Every test's is another one."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Protocol

from pytest_hyperv.backends.base import Backend, Machine, MachineState, Network
from pytest_hyperv.errors import MarkerError, NoRoom
from pytest_hyperv.guest_address import GuestAddress, take_address
from pytest_hyperv.spec import Image

SUBNET = ipaddress.IPv4Network("10.77.0.0/24")
"""The addresses of every private network: they never meet. There is no gateway, and no name server."""
FIRST = 11
"""The last number of the first machine's address; those below are left to tests."""


class Membership(Protocol):
    """A machine's place among others, or outside of all networks of ours."""

    @property
    def address(self) -> str:
        """The guest's address, "" without a network."""
        ...

    def renew(self) -> None:
        """Have a guest that was started, or went back to a checkpoint, take its address again, and all names."""
        ...

    def leave(self) -> None:
        """Be forgotten. Idempotent."""
        ...


@dataclass(frozen=True)
class Outsider:
    """A machine on no private network: what its host knows of its address is all there is."""

    machine: Machine

    @property
    def address(self) -> str:
        """As the host knows it."""
        return self.machine.address

    def renew(self) -> None:
        """There is nothing to tell."""

    def leave(self) -> None:
        """There is nothing to leave."""


@dataclass(eq=False)
class Member:
    """A machine's place on a private network. ``told`` is how many members its guest was last told of."""

    network: PrivateNetwork
    machine: Machine
    image: Image
    address: str
    told: int = 0

    def renew(self) -> None:
        """Tell the guest again, when it runs: going back to a checkpoint without memory leaves it off."""
        if self.machine.state is MachineState.RUNNING:
            self.network.tell(self)

    def leave(self) -> None:
        """The others keep the name until they are told again."""
        self.network.forget(self)


class PrivateNetwork:
    """The machines that one test, or one class, module or session, has with ``network="private"``.

    ``purpose`` is the node id of that. Nothing is made before the first of them is admitted. ``home`` is the backend,
    and with it the host, that all of them must be on.
    """

    def __init__(self, purpose: str) -> None:
        self._purpose = purpose
        self.home: Backend | None = None
        self._network: Network | None = None
        self._members: list[Member] = []
        self._admitted = 0

    def admit(self, backend: Backend, machine: Machine, image: Image) -> Member:
        """Give a machine its place; `settle` connects it. Raises NoRoom, MarkerError, and HostError without a network.

        A machine that was admitted keeps its address until the network ends.
        """
        number = FIRST + self._admitted
        if number >= SUBNET.num_addresses - 1:
            raise NoRoom(
                f"the private network of {self._purpose} has no address left",
                hint=f"a network takes {SUBNET.num_addresses - 1 - FIRST} machines in all its life.",
            )
        if self.home not in (None, backend):
            raise MarkerError(
                f"{machine.name} is not where the private network of {self._purpose} is, on {backend.summary}",
                hint='give all machines of a test with network="private" the same backend.',
            )
        if self._network is None:
            self._network, self.home = backend.open_network(self._purpose), backend
        self._admitted += 1
        member = Member(self, machine, image, str(SUBNET[number]))
        self._members.append(member)
        return member

    def settle(self) -> None:
        """Connect who is new, and tell all guests that run what they do not know yet.

        One that does not run learns it when it is started. Raises MachineError when a guest cannot take its address.
        """
        for member in self._members:
            if member.told < self._admitted:
                member.renew()

    def tell(self, member: Member) -> None:
        """Connect a machine, and have its guest take its address and the names of all members."""
        assert self._network is not None
        hosts = {each.machine.name: each.address for each in self._members}
        mac = self._network.join(member.machine)
        take_address(member.machine, member.image, GuestAddress(member.address, SUBNET.prefixlen, mac, hosts))
        member.told = self._admitted

    def forget(self, member: Member) -> None:
        """Have one member less; idempotent."""
        if member in self._members:
            self._members.remove(member)

    def close(self) -> None:
        """End the network; idempotent. Raises HostError when the host does not let go of it."""
        network, self._network = self._network, None
        self._members.clear()
        if network is not None:
            network.close()
