"""What a cmdlet of the guest is, how its words are bound to its parameters, and what it sees when it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from tests.hvsim.guest.operators import text
from tests.hvsim.guest.remote_values import ErrorRecord
from tests.hvsim.guest.shell_state import GuestShell, Terminating
from tests.hvsim.guest.syntax_tree import Block

COMMON = ("ErrorAction", "WarningAction", "InformationAction", "ErrorVariable", "OutVariable")
COMMON_SWITCHES = ("Verbose", "Debug", "WhatIf", "Confirm")
ALIASES = {"ea": "ErrorAction", "wa": "WarningAction", "vb": "Verbose", "db": "Debug", "lp": "LiteralPath"}


class Runs(Protocol):
    """What runs script blocks for a cmdlet."""

    def invoke(self, block: Block, item: Any = None, arguments: list[Any] | None = None) -> Iterator[Any]:
        """The output of a block, with ``$_`` and its arguments."""
        ...


@dataclass(frozen=True)
class Word:
    """A word of a command after evaluation: a name, a value, or a name with its value behind a colon."""

    name: str | None = None
    value: Any = None
    has_value: bool = True


@dataclass
class Context:
    """A cmdlet that runs. `given` holds the bound values by parameter; `input` is None when nothing is piped in."""

    name: str
    shell: GuestShell
    runs: Runs
    given: dict[str, Any]
    input: Iterable[Any] | None = None
    preference: str = "Continue"

    def get(self, name: str, default: Any = None) -> Any:
        """The value of a parameter."""
        return self.given.get(name, default)

    def items(self) -> Iterator[Any]:
        """What is piped in."""
        return iter(self.input or ())

    def error(
        self, message: str, error_id: str, category: str = "NotSpecified", *, exception: str = "", target: str = "",
        class_name: str = "",
    ) -> None:  # fmt: skip
        """Write a non-terminating error, as ErrorAction has it."""
        identifier = f"{error_id},{class_name}" if class_name else error_id
        record = ErrorRecord(message, identifier, category, target=target, activity=self.name)
        record = replace(record, exception=exception) if exception else record
        action = text(self.get("ErrorAction", self.preference)).casefold()
        if action == "stop":
            raise Stopped(record)
        if action not in ("silentlycontinue", "ignore"):
            self.shell.records.append(record)


class Stopped(Terminating):
    """An error that ends the script: ``throw``, and any error under ErrorAction Stop."""


@dataclass(frozen=True)
class Command:
    """A cmdlet: its code, and the names of its parameters, those that take a value by position first."""

    run: Callable[[Context], Iterator[Any]]
    positional: tuple[str, ...] = ()
    named: tuple[str, ...] = ()
    switches: tuple[str, ...] = ()
    many: str = ""
    aliases: dict[str, str] = field(default_factory=dict)

    def bind(self, name: str, words: list[Word]) -> dict[str, Any]:
        """The values by parameter name. Words without one fill the positions; `many` takes what is left over.

        Raises Terminating as the binder does.
        """
        given: dict[str, Any] = {}
        loose: list[Any] = []
        rest = iter(words)
        for word in rest:
            if word.name is None:
                loose.append(word.value)
                continue
            parameter = self._parameter(name, word.name)
            if parameter in (*self.switches, *COMMON_SWITCHES):
                given[parameter] = word.value if word.has_value else True
                continue
            if word.has_value:
                given[parameter] = [word.value] if parameter == self.many else word.value
                continue
            following = next(rest, None)
            if following is None or following.name is not None:
                raise _refused(name, f"Missing an argument for parameter '{parameter}'.", "MissingArgument")
            given[parameter] = [following.value] if parameter == self.many else following.value
        self._place(name, given, loose)
        return given

    def _place(self, name: str, given: dict[str, Any], loose: list[Any]) -> None:
        free = [parameter for parameter in self.positional if parameter not in given]
        for value in loose:
            if free and (free[0] != self.many):
                given[free.pop(0)] = value
            elif self.many:
                given.setdefault(self.many, []).append(value)
            else:
                raise _refused(
                    name, f"A positional parameter cannot be found that accepts argument '{text(value)}'.",
                    "PositionalParameterNotFound",
                )  # fmt: skip

    def _parameter(self, command: str, name: str) -> str:
        known = (*self.positional, *self.named, *self.switches, *COMMON, *COMMON_SWITCHES)
        aliases = {**ALIASES, **self.aliases}
        wanted = aliases.get(name.casefold(), name).casefold()
        exact = [each for each in known if each.casefold() == wanted]
        found = exact or [each for each in known if each.casefold().startswith(wanted)]
        if not found:
            message = f"A parameter cannot be found that matches parameter name '{name}'."
            raise _refused(command, message, "NamedParameterNotFound")
        return found[0]


def _refused(command: str, message: str, error_id: str) -> Terminating:
    return Terminating(
        ErrorRecord(
            message, f"{error_id},{command}", "InvalidArgument",
            "System.Management.Automation.ParameterBindingException", activity=command,
        )
    )  # fmt: skip
