"""Runs parsed command lines: values of expressions, variables, and commands by the engine's pipelines."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tests.hvsim.contract import CommandContract
from tests.hvsim.engine import param_block
from tests.hvsim.engine.stage_streams import Sink
from tests.hvsim.engine.statements import Stage, Statement
from tests.hvsim.engine.syntax import (
    Assignment,
    Cast,
    CommandText,
    Expression,
    Items,
    Joined,
    Line,
    Literal,
    Member,
    Nested,
    Parameter,
    Pipe,
    Table,
    Variable,
)
from tests.hvsim.engine.values import Noted, custom_object
from tests.hvsim.values import NOTHING, NetObject, net_text
from tests.psrp.peer.records import ShellError

if TYPE_CHECKING:
    from tests.hvsim.engine.pipeline import Engine

Objects = Iterator[object]


def member(value: object, name: str) -> object:
    """The property of an object as PowerShell reads it: of each element for a list, null when there is none."""
    if isinstance(value, Noted):
        return next((note for key, note in value.notes.items() if key.casefold() == name.casefold()), None) or member(
            value.value, name
        )
    if isinstance(value, NetObject):
        found = value.property(name)
        return None if found is NOTHING else found
    if isinstance(value, dict):
        found = next((entry for key, entry in value.items() if str(key).casefold() == name.casefold()), None)
        return len(value) if found is None and name.casefold() == "count" else found
    if isinstance(value, (list, tuple)):
        if name.casefold() in ("count", "length"):
            return len(value)
        return collapsed([member(entry, name) for entry in value])
    if isinstance(value, (str, bytes)) and name.casefold() == "length":
        return len(value)
    return (0 if value is None else 1) if name.casefold() == "count" else None


def collapsed(values: list[object]) -> object:
    """What a pipeline's output is as a value: nothing, the one object, or a list."""
    return None if not values else values[0] if len(values) == 1 else values


def text(value: object) -> str:
    """A value inside a string."""
    return net_text(value)


class Evaluation:
    """One script while it runs: its own variables above those of the process.

    In a scope of its own (`local`) what it assigns is gone with it, except to ``$global:`` names.
    """

    def __init__(
        self, engine: Engine, sink: Sink, variables: dict[str, Any], upstream: Objects | None, *, local: bool
    ) -> None:
        self._engine = engine
        self._local = local
        self._sink = sink
        self._own = variables
        self._upstream = upstream

    def run(self, lines: tuple[Line, ...]) -> Objects:
        """What the lines write."""
        for line in lines:
            if isinstance(line, Assignment):
                self._assign(line.name, collapsed(list(self._pipe(line.pipe))))
            else:
                yield from self._pipe(line)

    def _assign(self, name: str, value: object) -> None:
        if name.startswith("global:"):
            self._engine.process.variables[name.removeprefix("global:")] = value
        elif self._local or name in self._own:
            self._own[name] = value
        else:
            self._engine.process.variables[name] = value

    def _pipe(self, pipe: Pipe) -> Objects:
        first, *rest = pipe.parts
        if isinstance(first, CommandText):
            stages, source = pipe.parts, None
        else:
            stages, source = tuple(rest), self._written(first)
        if not stages:
            yield from source or ()
            return
        statement = Statement(tuple(self._stage(part) for part in stages if isinstance(part, CommandText)))
        yield from self._engine.objects(statement, self._sink, source)

    def _written(self, expression: Expression) -> Objects:
        """An expression as a statement: a list is written element by element."""
        if isinstance(expression, Variable) and expression.name == "input":
            yield from self._upstream or ()
        elif isinstance(expression, Nested):
            yield from self.run(expression.lines)
        else:
            value = self.value(expression)
            if isinstance(value, (list, tuple)):
                yield from value
            elif value is not None or not isinstance(expression, Variable):
                yield value

    def _stage(self, command: CommandText) -> Stage:
        contract = self._engine.commands.find(command.name).contract
        arguments: list[tuple[str | None, object]] = []
        waiting = list(command.elements)
        while waiting:
            element = waiting.pop(0)
            if not isinstance(element, Parameter):
                arguments.append((None, self.value(element)))
            elif element.value is not None:
                arguments.append((element.name, self.value(element.value)))
            elif _is_switch(contract, element.name) or not waiting or isinstance(waiting[0], Parameter):
                arguments.append((element.name, True))
            else:
                following = waiting.pop(0)
                arguments.append((element.name, None if isinstance(following, Parameter) else self.value(following)))
        if "silent" in command.merged:
            arguments.append(("ErrorAction", "SilentlyContinue"))
        return Stage(command.name, tuple(arguments), merged=command.merged)

    def value(self, expression: Expression) -> object:
        """The value of an expression."""
        if isinstance(expression, Literal):
            return expression.value
        if isinstance(expression, Variable):
            return self._variable(expression.name)
        if isinstance(expression, Member):
            return member(self.value(expression.of), expression.name)
        if isinstance(expression, Joined):
            return "".join(text(self.value(part)) for part in expression.parts)
        if isinstance(expression, Items):
            return [self.value(entry) for entry in expression.entries]
        if isinstance(expression, Table):
            return {key: self.value(entry) for key, entry in expression.entries}
        if isinstance(expression, Cast):
            return self._cast(expression)
        values = list(self.run(expression.lines))
        return values if expression.as_list else collapsed(values)

    def _cast(self, expression: Cast) -> object:
        value = self.value(expression.of)
        if expression.type.casefold() in ("pscustomobject", "psobject") and isinstance(value, dict):
            return custom_object(value)
        try:
            return param_block.convert(expression.type, value)
        except (ValueError, TypeError) as failure:
            raise ShellError(
                f'Cannot convert value "{text(value)}" to type "{expression.type}".',
                "InvalidCastParseTargetInvocation",
                "InvalidArgument",
            ) from failure

    def _variable(self, name: str) -> object:
        if name in self._own:
            return self._own[name]
        if name == "pid":
            return os.getpid()
        if name == "input":
            return list(self._upstream or ())
        return self._engine.process.variables.get(name)


def _is_switch(contract: CommandContract, name: str) -> bool:
    wanted = name.casefold()
    parameters = contract.parameters.values()
    exact = [p for p in parameters if wanted in (p.name.casefold(), *(alias.casefold() for alias in p.aliases))]
    fitting = exact or [p for p in parameters if p.name.casefold().startswith(wanted)]
    return bool(fitting) and all(parameter.type == "SwitchParameter" for parameter in fitting)
