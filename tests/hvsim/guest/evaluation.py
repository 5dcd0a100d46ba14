"""Runs what was read of a PowerShell script: statements one after the other, their output as it comes."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Generator, Iterator
from typing import Any

from tests.hvsim.engine.values import version
from tests.hvsim.guest import members
from tests.hvsim.guest.calling import Caller, merged_arguments
from tests.hvsim.guest.cmdlets.command import Stopped
from tests.hvsim.guest.identity import POWERSHELL_EDITION, POWERSHELL_VERSION, variable, with_variable
from tests.hvsim.guest.operators import binary, cast, listed, number, sized, text, truth, unrolled
from tests.hvsim.guest.remote_values import ErrorRecord
from tests.hvsim.guest.shell_state import ExitScript, GuestShell, Terminating
from tests.hvsim.guest.syntax_tree import (
    Assignment,
    Binary,
    Block,
    Cast,
    CommandCall,
    Condition,
    Expandable,
    Expression,
    FunctionDefinition,
    Index,
    Inner,
    Leave,
    ListOf,
    Literal,
    Loop,
    Member,
    Pipeline,
    Statement,
    Table,
    Try,
    TypeName,
    Unary,
    Variable,
)

TURNS = 200
"""Turns of a loop after which the guest is looked at, and a stop is seen."""
TURN_SECONDS = 0.01
"""Seconds of the guest's time that so many turns take at least."""

Scope = ChainMap[str, Any]


class LeaveBlock(Exception):
    """``return``, ``break`` or ``continue``; `kind` tells which."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


class Evaluation:
    """One script that runs. Output comes from its generators; records wait in the shell."""

    def __init__(self, shell: GuestShell) -> None:
        self.shell = shell
        self.scope: Scope = ChainMap({})
        self._tried = 0
        self._turns = 0
        self._caller = Caller(self)

    def script(self, block: Block, positional: list[Any], named: dict[str, Any]) -> Iterator[Any]:
        """Run a whole script with its arguments."""
        return self._called(block, positional, named)

    def invoke(self, block: Block, item: Any = None, arguments: list[Any] | None = None) -> Iterator[Any]:
        """Run a block for a cmdlet: in the scope it stands in, with ``$_``."""
        before = self.scope.maps[0].get("_")
        self.scope["_"] = item
        try:
            if block.parameters is not None or arguments:
                yield from self._called(block, arguments or [], {})
            else:
                yield from self._statements(block)
        finally:
            self.scope["_"] = before

    def call(self, block: Block, positional: list[Any], named: dict[str, Any]) -> Iterator[Any]:
        """Run a block or function in a scope of its own."""
        return self._called(block, positional, named)

    def _called(self, block: Block, positional: list[Any], named: dict[str, Any]) -> Iterator[Any]:
        outside = self.scope
        own = merged_arguments(self, block.parameters, positional, named)
        self.scope = outside.new_child(own)
        try:
            yield from self._statements(block)
        except LeaveBlock as leave:
            if leave.kind != "return":
                raise
        finally:
            self.scope = outside

    # -- statements

    def _statements(self, block: Block) -> Iterator[Any]:
        for statement in block.statements:
            try:
                yield from self._statement(statement)
            except Stopped:
                raise
            except Terminating as ended:
                if self._tried or self.preference == "stop":
                    raise
                self.shell.records.append(ended.record)

    @property
    def preference(self) -> str:
        """$ErrorActionPreference, in lower case."""
        return text(self.value_of("erroractionpreference") or "Continue").casefold()

    def _statement(self, statement: Statement) -> Iterator[Any]:
        match statement:
            case Pipeline():
                yield from self._caller.pipeline(statement)
            case Assignment():
                yield from self._assign(statement)
            case Condition():
                for condition, block in statement.branches:
                    if condition is None or truth(self.result(condition)):
                        yield from self._statements(block)
                        return
            case Loop():
                yield from self._loop(statement)
            case Try():
                yield from self._try(statement)
            case Leave():
                yield from self._leave(statement)
            case FunctionDefinition():
                self.shell.variables[f"function:{statement.name.casefold()}"] = statement.body

    def result(self, statement: Statement) -> Any:
        """What a statement gives to a variable: null, the only object, or a list."""
        if (
            isinstance(statement, Pipeline)
            and len(statement.stages) == 1
            and not isinstance(statement.stages[0], CommandCall)
        ):
            return self.value(statement.stages[0])
        return unrolled(list(self._statement(statement)))

    def _assign(self, statement: Assignment) -> Iterator[Any]:
        yield from ()
        value = self.result(statement.value)
        if statement.operator != "=":
            value = binary(statement.operator[0], self.value(statement.target), value)
        target = statement.target
        if isinstance(target, Cast):
            value, target = cast(target.type, value), target.operand
        if isinstance(target, Variable):
            self.set_variable(target, value)
        elif isinstance(target, Index | Member):
            holder = self.value(target.target)
            place = self.value(target.index) if isinstance(target, Index) else target.name
            if isinstance(holder, list):
                holder[int(number(place))] = value
            elif isinstance(holder, dict):
                holder[place] = value
            else:
                raise Terminating(
                    ErrorRecord(
                        f"The property '{text(place)}' cannot be found on this object.",
                        "PropertyAssignmentException",
                        "InvalidOperation",
                    )
                )

    def _loop(self, loop: Loop) -> Iterator[Any]:
        for _ in self._rounds(loop):
            self._turn()
            try:
                yield from self._statements(loop.body)
            except LeaveBlock as leave:
                if leave.kind == "break":
                    return
                if leave.kind == "return":
                    raise

    def _rounds(self, loop: Loop) -> Generator[None, None, None]:
        if loop.kind == "foreach":
            assert loop.variable is not None
            assert loop.condition is not None
            for item in listed(self.result(loop.condition)):
                self.set_variable(loop.variable, item)
                yield
            return
        if loop.first is not None:
            self.result(loop.first)
        if loop.kind.startswith("do"):
            yield
        while loop.condition is not None and truth(self.result(loop.condition)) != loop.kind.endswith("until"):
            yield
            if loop.after is not None:
                self.result(loop.after)

    def _turn(self) -> None:
        self._turns += 1
        if self._turns % TURNS == 0:
            self.shell.system.wait(TURN_SECONDS)
            self.shell.system.attend()

    def _try(self, statement: Try) -> Iterator[Any]:
        try:
            self._tried += 1
            try:
                yield from self._statements(statement.body)
            finally:
                self._tried -= 1
        except Terminating as ended:
            if statement.handler is None:
                raise
            yield from self.invoke(statement.handler, ended.record)
        finally:
            if statement.at_end is not None:
                yield from self._statements(statement.at_end)

    def _leave(self, statement: Leave) -> Iterator[Any]:
        if statement.kind == "return":
            if statement.value is not None:
                yield from self._statement(statement.value)
            raise LeaveBlock("return")
        value = None if statement.value is None else self.result(statement.value)
        if statement.kind == "exit":
            raise ExitScript(0 if value is None else int(number(value)))
        if statement.kind == "throw":
            record = value if isinstance(value, ErrorRecord) else self._thrown(value)
            raise Stopped(record)
        raise LeaveBlock(statement.kind)

    def _thrown(self, value: Any) -> ErrorRecord:
        if value is None and isinstance(self.value_of("_"), ErrorRecord):
            record: ErrorRecord = self.value_of("_")
            return record
        said = text(value) if value is not None else "ScriptHalted"
        return ErrorRecord(said, said, "OperationStopped", target=said, position=f"At line:1 char:1\n+ throw {said}")

    # -- variables

    def value_of(self, name: str) -> Any:
        """A variable by its lower-case name; null when it is not there."""
        if name in self.scope:
            return self.scope[name]
        if name in self.shell.variables:
            return self.shell.variables[name]
        constants = {
            "true": True, "false": False, "pid": self.shell.session.pid, "pwd": self.shell.folder,
            "lastexitcode": self.shell.exit_code,
        }  # fmt: skip
        if name == "psversiontable":
            return {"PSVersion": version(POWERSHELL_VERSION), "PSEdition": POWERSHELL_EDITION}
        return constants.get(name)

    def set_variable(self, target: Variable, value: Any) -> None:
        """Set a variable in this scope, in the session, or in the environment of the session's process."""
        name = target.name.casefold()
        if target.scope == "env":
            changed = with_variable(self.shell.environment, target.name, None if value is None else text(value))
            self.shell.variables["env:"] = changed
        elif target.scope == "global":
            self.shell.variables[name] = value
        else:
            self.scope[name] = value

    # -- expressions

    def value(self, expression: Expression) -> Any:
        """The value of an expression. Raises Terminating."""
        match expression:
            case Literal():
                return expression.value
            case Expandable():
                return "".join(text(self.value(part)) for part in expression.parts)
            case Variable():
                return self._variable(expression)
            case Block():
                return expression
            case TypeName():
                return expression.name
            case Cast():
                return cast(expression.type, self.value(expression.operand))
            case ListOf():
                return [self.value(item) for item in expression.items]
            case Table():
                return {text(self.value(key)): self.result(entry) for key, entry in expression.pairs}
            case Member():
                return self._member(expression)
            case Index():
                return self._indexed(self.value(expression.target), self.value(expression.index))
            case Unary():
                return self._unary(expression)
            case Binary():
                return self._binary(expression)
            case Inner():
                return self._inner(expression)

    def _variable(self, expression: Variable) -> Any:
        name = expression.name.casefold()
        if expression.scope == "env":
            return variable(self.shell.environment, expression.name)
        if expression.scope == "global":
            return self.shell.variables.get(name, self.value_of(name) if name in ("lastexitcode", "pid") else None)
        return self.value_of(name)

    def _member(self, expression: Member) -> Any:
        arguments = None if expression.arguments is None else [self.value(each) for each in expression.arguments]
        if isinstance(expression.target, TypeName):
            return members.static(self.shell, expression.target.name, expression.name, arguments)
        target = self.value(expression.target)
        return (
            members.member(target, expression.name)
            if arguments is None
            else members.call(target, expression.name, arguments)
        )

    def _indexed(self, target: Any, index: Any) -> Any:
        if isinstance(index, list):
            return [self._indexed(target, each) for each in index]
        if isinstance(target, dict):
            return members.member(target, text(index))
        if target is None:
            raise Terminating(ErrorRecord("Cannot index into a null array.", "NullArray", "InvalidOperation"))
        place = int(number(index))
        return target[place] if -len(target) <= place < len(target) else None

    def _unary(self, expression: Unary) -> Any:
        value = self.value(expression.operand)
        match expression.operator:
            case "not":
                return not truth(value)
            case "-":
                return sized(-number(value))
            case ",":
                return [value]
            case "join":
                return "".join(text(entry) for entry in listed(value))
            case _:
                return text(value).split()

    def _binary(self, expression: Binary) -> Any:
        left = self.value(expression.left)
        if expression.operator == "and":
            return truth(left) and truth(self.value(expression.right))
        if expression.operator == "or":
            return truth(left) or truth(self.value(expression.right))
        return binary(expression.operator, left, self.value(expression.right))

    def _inner(self, expression: Inner) -> Any:
        if expression.kind == "(" and len(expression.statements) == 1:
            return self.result(expression.statements[0])
        found = [value for statement in expression.statements for value in self._statement(statement)]
        return found if expression.kind == "@(" else unrolled(found)
