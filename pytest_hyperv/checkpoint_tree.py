"""Checkpoints as the tree that they form."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pytest_hyperv.backends.base import Checkpoint

ROOT = "state"


@dataclass(frozen=True)
class CheckpointNode:
    """A checkpoint and what grew from it; ``checkpoint`` is None at the root, the state the machine came from.

    ``current`` marks where the machine stands: the checkpoint it took or went back to last.
    """

    name: str
    checkpoint: Checkpoint | None
    current: bool
    children: tuple[CheckpointNode, ...]


@dataclass(frozen=True)
class CheckpointTree:
    """All checkpoints of one machine."""

    root: CheckpointNode

    @classmethod
    def of(cls, checkpoints: Sequence[Checkpoint], *, current: str) -> CheckpointTree:
        """The tree of ``checkpoints``, oldest first among siblings; ``current`` is an id, "" for the root.

        One whose parent is gone grows from the root.
        """
        known = {point.id for point in checkpoints}

        def grown_from(parent: str) -> tuple[CheckpointNode, ...]:
            return tuple(
                CheckpointNode(point.name, point, point.id == current, grown_from(point.id))
                for point in checkpoints
                if (point.parent if point.parent in known else "") == parent
            )

        return cls(CheckpointNode(ROOT, None, not current, grown_from("")))

    def __iter__(self) -> Iterator[CheckpointNode]:
        """Every node, parents before children, the root first."""
        return _walk(self.root)

    def __str__(self) -> str:
        return "\n".join(_lines(self.root, 0))


def _walk(node: CheckpointNode) -> Iterator[CheckpointNode]:
    yield node
    for child in node.children:
        yield from _walk(child)


def _lines(node: CheckpointNode, depth: int) -> list[str]:
    own = f"{'  ' * depth}{node.name}{'  <- here' if node.current else ''}"
    return [own, *(line for child in node.children for line in _lines(child, depth + 1))]
