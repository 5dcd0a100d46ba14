"""Where the time went: every moment of a worker belongs to the innermost thing it was at."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

KINDS = {"setup": "fixtures", "teardown": "fixtures", "call": "test", "lease": "wait"}
"""What phases of tests, and leases outside of the work that is done for them, count as."""


class Piece(NamedTuple):
    """Something a worker was at; seconds."""

    began: float
    ended: float
    kind: str


def account(pieces: Iterable[Piece], began: float, ended: float) -> dict[str, float]:
    """Seconds by kind, from ``began`` to ``ended``: ``start`` before the first piece, ``idle`` between and after."""
    spent: defaultdict[str, float] = defaultdict(float)
    open_pieces: list[Piece] = []
    at, outside = began, "start"

    def pass_to(moment: float) -> None:
        nonlocal at
        if moment > at:
            spent[open_pieces[-1].kind if open_pieces else outside] += moment - at
            at = moment

    for piece in sorted(pieces, key=lambda each: (each.began, -each.ended)):
        while open_pieces and open_pieces[-1].ended <= piece.began:
            pass_to(open_pieces[-1].ended)
            open_pieces.pop()
        pass_to(piece.began)
        open_pieces.append(piece)
        outside = "idle"
    while open_pieces:
        pass_to(open_pieces[-1].ended)
        open_pieces.pop()
    pass_to(ended)
    return {kind: round(seconds, 3) for kind, seconds in spent.items()}


def accounts(
    tests: Iterable[Mapping[str, Any]], spans: Iterable[Mapping[str, Any]], began: float, ended: float
) -> dict[str, dict[str, float]]:
    """For each worker, by name, where its time went; under ``name + "/meanwhile"`` the work of its other threads."""
    pieces: defaultdict[str, list[Piece]] = defaultdict(list)
    meanwhile: defaultdict[str, defaultdict[str, float]] = defaultdict(lambda: defaultdict(float))
    for test in tests:
        for name, start, stop in test["phases"]:
            pieces[test["worker"]].append(Piece(start, stop, KINDS[name]))
    for span in spans:
        kind = KINDS.get(span["kind"], span["kind"])
        if span["lane"]:
            meanwhile[span["worker"]][kind] += span["ended"] - span["began"]
        else:
            pieces[span["worker"]].append(Piece(span["began"], span["ended"], kind))
    told = {worker: account(mine, began, ended) for worker, mine in sorted(pieces.items())}
    for worker, spent in sorted(meanwhile.items()):
        told[f"{worker}/meanwhile"] = {kind: round(seconds, 3) for kind, seconds in spent.items()}
    return told
