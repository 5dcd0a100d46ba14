"""What of a module counts for the key of a recipe in it."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_hyperv.errors import StateError
from pytest_hyperv.states.declared import State, hyperv_state
from pytest_hyperv.states.inputs import input_digests
from pytest_hyperv.states.source import source_parts

HEAD = "from pytest_hyperv import hyperv_state\n"


@pytest.fixture
def written(tmp_path: Path) -> Iterator[types.SimpleNamespace]:
    """Modules written to a file and imported from it; ``parts(text)`` gives what counts of ``recipe`` in one."""
    made: list[str] = []

    def parts(text: str) -> dict[str, str]:
        name = f"module_of_states_{len(made)}"
        path = tmp_path / f"{name}.py"
        path.write_text(text)
        module = types.ModuleType(name)
        made.append(name)
        sys.modules[name] = module
        exec(compile(text, str(path), "exec"), module.__dict__)
        state = module.recipe
        return source_parts(state.recipe if isinstance(state, State) else state)

    yield types.SimpleNamespace(parts=parts)
    for name in made:
        del sys.modules[name]


SAME = {
    "layout and comments": (
        "def recipe(vm):\n    vm.run(['a', 'b'])",
        "def recipe(vm):  # now\n\n  vm.run( ['a','b'] )",
    ),
    "docstrings": ("def recipe(vm):\n    vm.run('a')", "def recipe(vm):\n    'What it does.'\n    vm.run('a')"),
    "only a docstring": ("def recipe(vm):\n    'One.'", "def recipe(vm):\n    'Two.'"),
    "a function it does not use": ("def recipe(vm): pass", "def other(): pass\n\ndef recipe(vm): pass"),
    "what a constant is computed from": ("N = 1 + 1\ndef recipe(vm): vm.run(N)", "N = 2\ndef recipe(vm): vm.run(N)"),
    "the order of a set": ("N = {'a', 'b'}\ndef recipe(vm): vm.run(N)", "N = {'b', 'a'}\ndef recipe(vm): vm.run(N)"),
    "another import of the same line": (
        "from os import path\ndef recipe(vm): path",
        "from os import path, sep\ndef recipe(vm): path",
    ),
    "the state's own decorator": (
        HEAD + "@hyperv_state(base='a')\ndef recipe(vm): pass",
        HEAD + "@hyperv_state(base='b', inputs=['x'])\ndef recipe(vm): pass",
    ),
}
OTHER = {
    "its own text": ("def recipe(vm): vm.run('a')", "def recipe(vm): vm.run('b')"),
    "a function it calls": ("def f(): 1\ndef recipe(vm): f()", "def f(): 2\ndef recipe(vm): f()"),
    "a function that one calls": (
        "def g(): 1\ndef f(): g()\ndef recipe(vm): f()",
        "def g(): 2\ndef f(): g()\ndef recipe(vm): f()",
    ),
    "functions that call each other": (
        "def g(): f()\ndef f(): g()\ndef recipe(vm): f()",
        "def g(): f(); 1\ndef f(): g()\ndef recipe(vm): f()",
    ),
    "a function within it": ("def recipe(vm):\n  def f(): 1", "def recipe(vm):\n  def f(): 2"),
    "a class it uses": (
        "class C:\n  def m(self): 1\ndef recipe(vm): C().m()",
        "class C:\n  def m(self): 2\ndef recipe(vm): C().m()",
    ),
    "a decorator of a function it calls": (
        "def d(f): return f\n@d\ndef f(): 1\ndef recipe(vm): f()",
        "def d(f): return (f)and f\n@d\ndef f(): 1\ndef recipe(vm): f()",
    ),
    "a constant": ("N = 1\ndef recipe(vm): vm.run(N)", "N = 2\ndef recipe(vm): vm.run(N)"),
    "a constant within a tuple": ("A, B = 1, 2\ndef recipe(vm): B", "A, B = 1, 3\ndef recipe(vm): B"),
    "the type of a constant": ("N = 1\ndef recipe(vm): vm.run(N)", "N = '1'\ndef recipe(vm): vm.run(N)"),
    "a list for a tuple": ("N = [1]\ndef recipe(vm): vm.run(N)", "N = (1,)\ndef recipe(vm): vm.run(N)"),
    "a value from outside": (
        "import sys\nN = sys.intern('a')\ndef recipe(vm): vm.run(N)",
        "import sys\nN = sys.intern('b')\ndef recipe(vm): vm.run(N)",
    ),
    "how something else is made": (
        "N = object()\ndef recipe(vm): N",
        "N = [object()]\ndef recipe(vm): N",
    ),
    "what something else is made with": (
        "def f(): return [object()]\nN = f()\ndef recipe(vm): N",
        "def f(): return (object(),)\nN = f()\ndef recipe(vm): N",
    ),
    "where a name comes from": (
        "from os import path\ndef recipe(vm): path",
        "from sys import path\ndef recipe(vm): path",
    ),
    "a function in a branch": (
        "if True:\n  def f(): 1\ndef recipe(vm): f()",
        "if True:\n  def f(): 2\ndef recipe(vm): f()",
    ),
    "a function after a failed import": (
        "try:\n  import nothing_there\nexcept ImportError:\n  def f(): 1\ndef recipe(vm): f()",
        "try:\n  import nothing_there\nexcept ImportError:\n  def f(): 2\ndef recipe(vm): f()",
    ),
}


@pytest.mark.parametrize("case", SAME)
def test_this_does_not_count(written: types.SimpleNamespace, case: str) -> None:
    before, after = SAME[case]
    assert written.parts(before) == written.parts(after)


@pytest.mark.parametrize("case", OTHER)
def test_this_counts(written: types.SimpleNamespace, case: str) -> None:
    before, after = OTHER[case]
    assert written.parts(before) == written.parts(before)
    assert written.parts(before) != written.parts(after)


def test_another_state_that_a_recipe_runs_counts(written: types.SimpleNamespace) -> None:
    text = HEAD + "@hyperv_state(base='a')\ndef one(vm): vm.run('{}')\ndef recipe(vm): one(vm)"
    assert written.parts(text.format("a")) != written.parts(text.format("b"))


def test_a_recipe_without_a_file_is_told() -> None:
    module: dict[str, object] = {}
    exec(compile("def recipe(vm): pass", "<typed in>", "exec"), module)
    recipe = module["recipe"]
    assert isinstance(recipe, types.FunctionType)
    state = hyperv_state(base="debian-12")(recipe)
    with pytest.raises(StateError, match="the source of state recipe cannot be read") as caught:
        source_parts(state.recipe)
    assert caught.value.hint.startswith("a recipe must be a function in a file")


def test_what_is_neither_file_nor_folder_is_no_input(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StateError, match="the input pipe of state it cannot be read"):
        input_digests("it", ["pipe"], tmp_path)


def test_a_link_that_is_an_input_stands_for_what_it_points_to(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("one")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "copy").write_text("one")
    told = input_digests("it", ["file", "link", "copy"], tmp_path)
    assert len(set(told.values())) == 1
    (tmp_path / "copy").write_text("two")
    assert input_digests("it", ["copy"], tmp_path)["copy"] != told["copy"]
