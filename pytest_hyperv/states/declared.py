"""States as users write them: a function that prepares a machine, what it starts from, and the files it takes in."""

from __future__ import annotations

import inspect
import math
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_hyperv.errors import StateError

if TYPE_CHECKING:
    from pytest_hyperv.machine import VirtualMachine

COMMAND = 600.0
"""Seconds a command of a recipe may take when neither the call nor the state says otherwise."""
SEE = "see States in the reference of pytest-hyperv."


@dataclass(frozen=True, eq=False)
class State:
    """A named point that a recipe brings a machine to.

    ``base`` is the name of a golden image, or the state it starts from; a state is made after its base, so there is no
    way round in a circle. ``inputs`` are the host's files and folders that the recipe takes in, relative to the
    rootdir. ``timeout`` is what a command of the recipe may take, in seconds.
    """

    recipe: types.FunctionType
    base: str | State
    inputs: tuple[str, ...]
    timeout: float

    def __call__(self, vm: VirtualMachine) -> None:
        """Run the recipe on a machine, from another recipe or a test."""
        self.recipe(vm)

    def __repr__(self) -> str:
        return f"<state {self.name} of {self.image}>"

    @property
    def name(self) -> str:
        """The recipe's name."""
        return self.recipe.__name__

    @property
    def file(self) -> Path:
        """The file the recipe is written in."""
        return Path(self.recipe.__code__.co_filename)

    @property
    def image(self) -> str:
        """The name of the golden image at the root."""
        return self.base if isinstance(self.base, str) else self.base.image


def hyperv_state(
    *, base: str | State, inputs: Sequence[str | Path] = (), timeout: float = COMMAND
) -> Callable[[Callable[[VirtualMachine], object]], State]:
    """Make a function of a module a state's recipe: it gets a running machine of ``base``, and prepares it.

    The machine is then saved as the recipe leaves it, running. Raises StateError when something about it is wrong.
    """

    def declare(recipe: Callable[[VirtualMachine], object]) -> State:
        name = getattr(recipe, "__name__", repr(recipe))
        return State(
            _checked_recipe(recipe, name),
            _checked_base(base, name),
            _checked_inputs(inputs, name),
            _seconds(timeout, name),
        )

    return declare


def _checked_recipe(recipe: object, name: str) -> types.FunctionType:
    if isinstance(recipe, State):
        raise _wrong(name, "it is a state already", "give each state a function of its own.")
    if not isinstance(recipe, types.FunctionType):
        raise _wrong(name, "a recipe is a function", "write `def name(vm): ...` below the decorator.")
    if recipe.__qualname__ != recipe.__name__ or recipe.__name__ == "<lambda>":
        raise _wrong(
            name,
            "its recipe is not at the top of a module",
            "other workers and runs could not find the same one there.",
        )
    if inspect.iscoroutinefunction(recipe) or inspect.isgeneratorfunction(recipe) or inspect.isasyncgenfunction(recipe):
        raise _wrong(name, "its recipe is a generator or coroutine", "write a plain function.")
    if getattr(recipe, "pytestmark", None):
        raise _wrong(name, "its recipe has a pytest marker", "markers belong to the tests that use the state.")
    parameters = list(inspect.signature(recipe).parameters.values())
    if len(parameters) != 1 or parameters[0].kind not in (
        inspect.Parameter.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
    ):
        raise _wrong(name, "its recipe must take the machine and nothing else", "write `def name(vm): ...`.")
    return recipe


def _checked_base(base: object, name: str) -> str | State:
    if isinstance(base, State) or (isinstance(base, str) and base):
        return base
    if callable(base):
        called = getattr(base, "__name__", repr(base))
        raise _wrong(name, f"base={called} is a function without @hyperv_state", "decorate it.")
    raise _wrong(name, f"base={base!r} is neither an image's name nor a state", SEE)


def _checked_inputs(inputs: object, name: str) -> tuple[str, ...]:
    if not isinstance(inputs, list | tuple):
        raise _wrong(name, f"inputs={inputs!r} is no list of paths", f"write inputs=[{inputs!r}].")
    for path in inputs:
        if not isinstance(path, str | Path) or not str(path):
            raise _wrong(name, f"inputs= holds {path!r}, which is no path", SEE)
    return tuple(str(path) for path in inputs)


def _seconds(timeout: object, name: str) -> float:
    if not isinstance(timeout, int | float) or isinstance(timeout, bool) or not 0 < timeout < math.inf:
        raise _wrong(name, f"timeout={timeout!r} is no number of seconds", SEE)
    return float(timeout)


def _wrong(name: str, what: str, hint: str) -> StateError:
    return StateError(f"the state {name} cannot be declared: {what}", hint=hint, state=name)
