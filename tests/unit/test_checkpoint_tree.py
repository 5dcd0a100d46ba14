"""Checkpoints as a tree."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pytest_hyperv.backends.base import Checkpoint
from pytest_hyperv.checkpoint_tree import ROOT, CheckpointTree


def point(id: str, parent: str = "", name: str = "") -> Checkpoint:
    """A checkpoint; its name is its id when none is given."""
    return Checkpoint(id, name or id, memory=True, parent=parent, created=0.0)


def test_a_machine_without_checkpoints_stands_at_its_state() -> None:
    tree = CheckpointTree.of([], current="")
    assert (tree.root.name, tree.root.checkpoint, tree.root.current, tree.root.children) == (ROOT, None, True, ())
    assert str(tree) == "state  <- here"


def test_a_tree_reads_as_it_grew() -> None:
    points = [point("clean"), point("a", "clean"), point("b", "clean"), point("a1", "a"), point("other")]
    tree = CheckpointTree.of(points, current="b")
    assert str(tree) == "state\n  clean\n    a\n      a1\n    b  <- here\n  other"
    assert [node.name for node in tree] == ["state", "clean", "a", "a1", "b", "other"]
    assert [node.name for node in tree.root.children] == ["clean", "other"]
    assert tree.root.children[0].checkpoint == points[0]


def test_checkpoints_of_one_name_are_told_apart_by_their_ids() -> None:
    tree = CheckpointTree.of([point("1", name="x"), point("2", "1", name="x")], current="1")
    assert str(tree) == "state\n  x  <- here\n    x"


@st.composite
def grown(draw: st.DrawFn) -> list[Checkpoint]:
    """Checkpoints in the order they were taken, each from the state or an earlier one."""
    size = draw(st.integers(0, 30))
    return [point(str(n), str(at) if (at := draw(st.integers(-1, n - 1))) >= 0 else "") for n in range(size)]


@given(points=grown(), data=st.data())
def test_every_checkpoint_is_there_once_below_its_parent_and_one_place_is_current(
    points: list[Checkpoint], data: st.DataObject
) -> None:
    current = data.draw(st.sampled_from(["", *(each.id for each in points)]))
    tree = CheckpointTree.of(points, current=current)
    nodes = list(tree)
    assert sorted(node.checkpoint.id for node in nodes if node.checkpoint) == sorted(each.id for each in points)
    assert [node.checkpoint.id if node.checkpoint else "" for node in nodes if node.current] == [current]
    for node in nodes:
        own = node.checkpoint.id if node.checkpoint else ""
        below = [child.checkpoint for child in node.children]
        assert below == [each for each in points if each.parent == own]
    assert len(str(tree).splitlines()) == len(points) + 1


def test_a_long_chain_is_no_matter() -> None:
    chain = [point(str(n), str(n - 1) if n else "") for n in range(300)]
    assert len(list(CheckpointTree.of(chain, current="299"))) == 301


def test_checkpoints_whose_parent_was_deleted_are_not_lost() -> None:
    tree = CheckpointTree.of([point("b", "deleted"), point("c", "b")], current="c")
    assert [node.name for node in tree] == ["state", "b", "c"]
