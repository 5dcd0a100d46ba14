"""Progress as lines: every step is counted, an end is told, a failure is left to whoever catches it."""

from __future__ import annotations

import re

import pytest

from pytest_hyperv.progress import Lines, Silent


def test_a_task_tells_its_beginning_its_steps_and_its_end() -> None:
    said: list[str] = []
    with Lines(said.append).task("Building", steps=2) as task:
        assert said == ["Building ..."]
        task.step("first")
        task.step("second")
    assert [re.sub(r"[\d.]+ s", "N s", line) for line in said] == [
        "Building ...",
        "Building: [1/2] first (N s)",
        "Building: [2/2] second (N s)",
        "Building: done in N s",
    ]


def test_a_task_that_fails_is_not_told_as_done() -> None:
    said: list[str] = []
    with pytest.raises(OSError, match="full"), Lines(said.append).task("Building", steps=1):
        raise OSError("full")
    assert said == ["Building ..."]


def test_tasks_are_counted_apart() -> None:
    said: list[str] = []
    lines = Lines(said.append)
    with lines.task("A", steps=1) as a, lines.task("B", steps=1) as b:
        a.step("x")
        b.step("y")
    assert [line.partition(" (")[0] for line in said if "[" in line] == ["A: [1/1] x", "B: [1/1] y"]


def test_silence_says_nothing_and_lets_exceptions_through(capfd: pytest.CaptureFixture[str]) -> None:
    with Silent().task("Building", steps=1) as task:
        task.step("first")
    with pytest.raises(ValueError, match="wrong"), Silent().task("Building", steps=1):
        raise ValueError("wrong")
    assert capfd.readouterr() == ("", "")
