"""What is to be run, as frozen data: commands with parameters, pipes between them, fixed scripts with arguments.

No PowerShell text is ever built around a value: names of commands and parameters are names, values travel as values.

    Command("Get-VM", Id=identity) | Select("Id", "State")
    Call(Command("Stop-VM", Id=identity, Force=True)).then(Command("Remove-VM", Id=identity, Force=True))
    Script("param($path) (Get-Item $path).Length", r"C:\\file")
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Parameters = tuple[tuple[str | None, Any], ...]


@dataclass(frozen=True, init=False)
class Command:
    """A cmdlet, function or program by name.

    Positional values are arguments; ``Force=True`` is a switch, and so is ``Confirm=False``.
    """

    name: str
    parameters: Parameters

    def __init__(self, name: str, /, *args: Any, **params: Any) -> None:
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "parameters", _parameters(args, params))

    def __or__(self, after: Stage | Statement) -> Statement:
        return Statement((self,)) | after

    def then(self, after: Stage | Statement | Call) -> Call:
        """Both, one after the other, each ending the call when it fails."""
        return Call(self).then(after)


@dataclass(frozen=True, init=False)
class Script:
    """A fixed text with arguments.

    ``text`` is a constant of the program; whatever varies is an argument of its param block.
    A script runs in the session's global scope, where its variables stay, unless ``local_scope`` says otherwise.
    """

    text: str
    parameters: Parameters
    local_scope: bool = False

    def __init__(self, text: str, /, *args: Any, **params: Any) -> None:
        object.__setattr__(self, "text", text)
        object.__setattr__(self, "parameters", _parameters(args, params))
        object.__setattr__(self, "local_scope", False)

    def in_local_scope(self) -> Script:
        """The same script, leaving no variable behind."""
        copy = Script(self.text)
        object.__setattr__(copy, "parameters", self.parameters)
        object.__setattr__(copy, "local_scope", True)
        return copy

    def __or__(self, after: Stage | Statement) -> Statement:
        return Statement((self,)) | after

    def then(self, after: Stage | Statement | Call) -> Call:
        """Both, one after the other, each ending the call when it fails."""
        return Call(self).then(after)


Stage = Command | Script


@dataclass(frozen=True)
class Statement:
    """Stages with pipes between them."""

    stages: tuple[Stage, ...]

    def __or__(self, after: Stage | Statement) -> Statement:
        return Statement(self.stages + (after.stages if isinstance(after, Statement) else (after,)))

    def then(self, after: Stage | Statement | Call) -> Call:
        """Both, one after the other, each ending the call when it fails."""
        return Call(self).then(after)

    @property
    def title(self) -> str:
        """The names of the stages, for messages; holds no value."""
        return " | ".join(stage.name if isinstance(stage, Command) else "script" for stage in self.stages)

    def stopping(self) -> Statement:
        """The statement with ErrorAction Stop on every command that does not say otherwise."""
        return Statement(tuple(_stopping(stage) for stage in self.stages))


@dataclass(frozen=True, init=False)
class Call:
    """One round trip: one statement, or several of which each ends the call when it fails."""

    statements: tuple[Statement, ...]

    def __init__(self, what: Stage | Statement | Call) -> None:
        object.__setattr__(self, "statements", _statements(what))

    def then(self, after: Stage | Statement | Call) -> Call:
        """This call, then ``after`` in the same round trip. Every command of both gets ErrorAction Stop."""
        joined = Call(self)
        object.__setattr__(
            joined, "statements", tuple(statement.stopping() for statement in self.statements + _statements(after))
        )
        return joined

    @property
    def parameters(self) -> Parameters:
        """The names and values of all stages, in order."""
        return tuple(pair for statement in self.statements for stage in statement.stages for pair in stage.parameters)

    @property
    def title(self) -> str:
        """What is run, for messages; holds no value."""
        return "; ".join(statement.title for statement in self.statements)


Runnable = Stage | Statement | Call


def Select(*properties: str, **options: Any) -> Command:
    """Select-Object of these properties.

    A property that the object does not have comes out as None, without an error.
    """
    return Command("Select-Object", **({"Property": list(properties)} if properties else {}), **options)


def _parameters(args: tuple[Any, ...], params: dict[str, Any]) -> Parameters:
    return tuple((None, value) for value in args) + tuple(params.items())


def _statements(what: Runnable) -> tuple[Statement, ...]:
    if isinstance(what, Call):
        return what.statements
    return (what,) if isinstance(what, Statement) else (Statement((what,)),)


def _stopping(stage: Stage) -> Stage:
    if isinstance(stage, Script) or any((name or "").casefold() == "erroraction" for name, _ in stage.parameters):
        return stage
    copy = Command(stage.name)
    object.__setattr__(copy, "parameters", (*stage.parameters, ("ErrorAction", "Stop")))
    return copy
