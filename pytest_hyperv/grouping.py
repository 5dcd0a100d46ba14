"""The order of tests under ``--hyperv-group``: those whose machines are of one kind run one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest

from pytest_hyperv.stash import WISH

NODES: dict[str, type[pytest.Collector]] = {
    "class": pytest.Class,
    "module": pytest.Module,
    "package": pytest.Package,
}
"""Whose tests share the fixtures of a scope, from narrow to wide. A session's fixtures serve tests in any order."""
Block = list[pytest.Item]
"""Tests that stay together, in their own order, for they share a fixture or a machine of a class, module or package."""


def arrange(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the tests in the order of their kinds, each kind where its first test is; all else stays as it was.

    Tests without a machine are one more kind. A worker of ``--dist loadgroup`` marks the kinds for its controller too.
    """
    kinds = _by_kind(items)
    items[:] = [item for blocks in kinds.values() for block in blocks for item in block]
    if config.getoption("loadgroup", False):
        _mark(kinds, config.workerinput["workercount"])  # type: ignore[attr-defined]


def _mark(kinds: dict[object, list[Block]], workers: int) -> None:
    """Name the ``xdist_group`` of tests that have none: a kind is cut into as many as there are workers.

    So one kind alone keeps all workers busy, and each of them meets as few kinds as can be.
    """
    for number, (kind, blocks) in enumerate(kinds.items(), 1):
        size = -(-sum(map(len, blocks)) // workers)
        done = 0
        for block in blocks:
            for item in block:
                if kind is not None and item.get_closest_marker("xdist_group") is None:
                    item.add_marker(pytest.mark.xdist_group(f"kind{number}.{done // size + 1}"))
            done += len(block)


def _by_kind(items: Sequence[pytest.Item]) -> dict[object, list[Block]]:
    """The blocks of each kind; the kind of a block is that of its first test with a machine, None without any."""
    kinds: dict[object, list[Block]] = {}
    for block in _blocks(items):
        kind = next((item.stash[WISH].kind for item in block if WISH in item.stash), None)
        kinds.setdefault(kind, []).append(block)
    return kinds


def _blocks(items: Sequence[pytest.Item]) -> list[Block]:
    """The tests in blocks, each of them where its first test is."""
    chains = [_shared_nodes(item) for item in items]
    wider = {narrow: wide for chain in chains for narrow, wide in pairwise(chain)}
    blocks: dict[object, Block] = {}
    for item, chain in zip(items, chains, strict=True):
        node: object = chain[0] if chain else item
        while node in wider:
            node = wider[node]
        blocks.setdefault(node, []).append(item)
    return list(blocks.values())


def _shared_nodes(item: pytest.Item) -> list[pytest.Collector]:
    """The class, module and package of a test, as far up as it shares a fixture or its machine with others there."""
    fixtures = getattr(item, "_fixtureinfo", None)
    scopes = {each.scope for found in fixtures.name2fixturedefs.values() for each in found} if fixtures else {"module"}
    if WISH in item.stash:
        scopes.add(item.stash[WISH].reset)
    widest = max((number for number, scope in enumerate(NODES, 1) if scope in scopes), default=0)
    found = [item.getparent(node) for node in list(NODES.values())[:widest]]
    return [node for node in found if node is not None]
