"""Machines for tests: one's own, one shared by a class, module or session, or several made by the number."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from pytest_hyperv.evidence import console_so_far
from pytest_hyperv.lab import Lab, lab_of
from pytest_hyperv.loan import Loan
from pytest_hyperv.machine import VirtualMachine
from pytest_hyperv.markers import Mark, Wish, marks_of, wish_of
from pytest_hyperv.private_network import PrivateNetwork
from pytest_hyperv.returning import end_later
from pytest_hyperv.spec import MachineSpec
from pytest_hyperv.stash import LOANS, WISH
from pytest_hyperv.states.declared import State

SCOPES: dict[str, type[pytest.Collector]] = {"class": pytest.Class, "module": pytest.Module, "session": pytest.Session}
Kind = tuple[str, MachineSpec, State | None]
"""The backend a test named, its machine's spec, and the state it starts from."""
SHARED = pytest.StashKey[dict[Kind, Loan]]()
"""On the node that shares machines: the ones its tests use now."""
LAST = pytest.StashKey[dict[Kind, pytest.Item]]()
"""On the session: the last test that wants a machine of a kind for itself."""
NETWORK = pytest.StashKey[PrivateNetwork]()
"""On a test, or on the node that shares machines: the private network of those that want one."""


def machine_for(item: pytest.Item, default_image: str) -> VirtualMachine:
    """The machine of a test: its own, or the one shared by the class, module or session it is in.

    A shared machine whose guest has crashed is replaced before the next test gets it.
    """
    lab, wish = lab_of(item.config), item.stash[WISH].on_image(default_image)
    node = item.getparent(SCOPES[wish.reset]) if wish.reset in SCOPES else None
    network = _network_of(node or item)
    if node is None:
        loan = lab.lend(wish, item.nodeid, network, more_to_come=_more_to_come(item))
        item.addfinalizer(partial(end_later, item.session, loan.give_back))
        _hand_over(item, loan)
    else:
        known = [each.vm for each in node.stash.get(SHARED, {}).values()]
        loan = _shared(lab, node, wish, network)
        _hand_over(item, loan, console_so_far(loan.vm) if loan.vm in known else "")
    network.settle()
    if wish.spec.nested:
        lab.check_nested(loan.vm)
    item.config.hook.pytest_hyperv_machine_ready(machine=loan.vm, nodeid=item.nodeid)
    return loan.vm


def _hand_over(item: pytest.Item, loan: Loan, console: str = "") -> None:
    """Note on the test that it has the machine, and on the machine that a test begins."""
    loan.vm.transcript.begin(console)
    item.stash.setdefault(LOANS, []).append(loan)


def _network_of(node: pytest.Item | pytest.Collector) -> PrivateNetwork:
    """The private network of a test, or of the class, module or session that shares machines.

    Asked for before its machines are made, so that it ends after them.
    """
    if NETWORK not in node.stash:
        made = node.stash[NETWORK] = PrivateNetwork(node.nodeid)
        node.addfinalizer(partial(end_later, node.session, made.close))
    return node.stash[NETWORK]


def _shared(lab: Lab, node: pytest.Collector, wish: Wish, network: PrivateNetwork) -> Loan:
    loans, kind = node.stash.setdefault(SHARED, {}), wish.kind
    loan = loans.get(kind)
    if loan is not None and loan.vm.crashed:
        loan.give_back()
        loan = None
    if loan is None:
        loan = lab.lend(wish, node.nodeid, network)
        if not loans:
            node.addfinalizer(partial(end_later, node.session, partial(_give_back_all, loans)))
        loans[kind] = loan
    loan.vm.timeout = wish.timeout
    return loan


def _give_back_all(loans: dict[Kind, Loan]) -> None:
    while loans:
        loans.popitem()[1].give_back()


def _more_to_come(item: pytest.Item) -> bool:
    """Whether a later test of this run wants a machine of its own of the same kind."""
    if LAST not in item.session.stash:
        own = (each for each in item.session.items if WISH in each.stash and each.stash[WISH].reset == "test")
        item.session.stash[LAST] = {each.stash[WISH].kind: each for each in own}
    return item.session.stash[LAST].get(item.stash[WISH].kind) is not item


class MachineFactory:
    """``factory(count=1, **arguments of the hyperv marker)`` returns that many machines, all of the same kind."""

    def __init__(self, item: pytest.Item, default_image: str) -> None:
        self._item, self._default_image = item, default_image
        self._network = _network_of(item)
        self.loans: list[Loan] = []

    def __call__(self, count: int = 1, **arguments: Any) -> tuple[VirtualMachine, ...]:
        """Make ``count`` machines; what is not said is as the test's own marker says.

        There is room for all of them before the first is made. Skips the test when the host cannot make them. Raises
        MarkerError for wrong arguments, NoRoom.
        """
        lab = lab_of(self._item.config)
        wish = wish_of([*marks_of(self._item), Mark("hyperv", (), arguments)], lab.settings).on_image(
            self._default_image
        )
        lab.gate(wish)
        loans = lab.lend_several(wish, self._item.nodeid, self._network, count)
        self.loans += loans
        for loan in loans:
            _hand_over(self._item, loan)
        self._network.settle()
        return tuple(loan.vm for loan in loans)


@contextmanager
def factory_for(item: pytest.Item, default_image: str) -> Iterator[MachineFactory]:
    """A factory whose machines are thrown away together at the end."""
    factory = MachineFactory(item, default_image)
    try:
        yield factory
    finally:
        for loan in factory.loans:
            end_later(item.session, loan.give_back)
