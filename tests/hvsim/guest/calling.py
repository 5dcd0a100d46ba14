"""Pipelines and commands of a script: cmdlets, functions, blocks and programs, each fed with what came before."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from tests.hvsim.guest.cmdlets.command import Context, Word
from tests.hvsim.guest.cmdlets.registry import command
from tests.hvsim.guest.events import STDOUT, Out, Start
from tests.hvsim.guest.launching import NotStarted
from tests.hvsim.guest.operators import cast, listed, text
from tests.hvsim.guest.programs import launch
from tests.hvsim.guest.remote_values import ErrorRecord
from tests.hvsim.guest.shell_state import GuestShell, Terminating
from tests.hvsim.guest.syntax_tree import (
    Argument,
    Block,
    Cast,
    CommandCall,
    Expression,
    Literal,
    Member,
    Parameter,
    Pipeline,
)

_SPACE = "System.Management.Automation."


class Evaluates(Protocol):
    """What a caller needs of the script that runs."""

    shell: GuestShell

    @property
    def preference(self) -> str:
        """$ErrorActionPreference, in lower case."""
        ...

    def value(self, expression: Expression) -> Any:
        """The value of an expression."""
        ...

    def value_of(self, name: str) -> Any:
        """A variable."""
        ...

    def invoke(self, block: Block, item: Any = None, arguments: list[Any] | None = None) -> Iterator[Any]:
        """Run a block for a cmdlet."""
        ...

    def call(self, block: Block, positional: list[Any], named: dict[str, Any]) -> Iterator[Any]:
        """Run a block in a scope of its own."""
        ...


class Caller:
    """Runs the pipelines of one script."""

    def __init__(self, script: Evaluates) -> None:
        self._script = script

    def pipeline(self, pipeline: Pipeline) -> Iterator[Any]:
        """The output of the last stage."""
        flow: Iterable[Any] | None = None
        for stage in pipeline.stages:
            if isinstance(stage, CommandCall):
                flow = self._command(stage, flow)
            else:
                value = self._script.value(stage)
                flow = value if isinstance(value, list) else [] if value is None and _is_void(stage) else [value]
        yield from flow or ()

    def _command(self, call: CommandCall, flow: Iterable[Any] | None) -> Iterator[Any]:
        name = self._script.value(call.name)
        output = self._block(name, call, flow) if isinstance(name, Block) else self._named(text(name), call, flow)
        if not call.silenced:
            return output
        return self._silenced(output, call.silenced)

    def _silenced(self, output: Iterator[Any], streams: frozenset[str]) -> Iterator[Any]:
        records = self._script.shell.records
        before = len(records)
        for value in output:
            if "Output" not in streams:
                yield value
        kept = [record for record in list(records)[before:] if _stream(record) not in streams]
        while len(records) > before:
            records.pop()
        records.extend(kept)

    def _named(self, name: str, call: CommandCall, flow: Iterable[Any] | None) -> Iterator[Any]:
        function = self._script.shell.variables.get(f"function:{name.casefold()}")
        if isinstance(function, Block):
            return self._block(function, call, flow)
        found = command(name)
        if found is None:
            return self._program(name, call, flow)
        own_name, cmdlet = found
        given = cmdlet.bind(own_name, self._words(call))
        context = Context(own_name, self._script.shell, self._script, given, flow, self._script.preference)
        return cmdlet.run(context)

    def _block(self, block: Block, call: CommandCall, flow: Iterable[Any] | None) -> Iterator[Any]:
        del flow
        positional: list[Any] = []
        named: dict[str, Any] = {}
        words = iter(self._words(call))
        for word in words:
            if word.name is None:
                positional.append(word.value)
            else:
                following = word if word.has_value else next(words, Word(value=True))
                named[word.name] = following.value
        return self._script.call(block, positional, named)

    def _words(self, call: CommandCall) -> list[Word]:
        words: list[Word] = []
        for argument in call.arguments:
            if argument.splat:
                assert argument.value is not None
                splat = self._script.value(argument.value)
                words += [Word(name, value) for name, value in splat.items()] if isinstance(splat, dict) else [
                    Word(value=value) for value in listed(splat)
                ]  # fmt: skip
            elif argument.name is not None:
                has_value = argument.value is not None
                value = self._script.value(argument.value) if argument.value is not None else None
                words.append(Word(argument.name, value, has_value))
            elif argument.value is not None:
                words.append(Word(value=self._script.value(argument.value)))
        return words

    def _program(self, name: str, call: CommandCall, flow: Iterable[Any] | None) -> Iterator[Any]:
        """A program: its output line by line, its error lines as records, its code in $LASTEXITCODE."""
        shell = self._script.shell
        arguments = [self._as_program_sees(argument) for argument in call.arguments]
        stdin = "".join(f"{text(value)}\r\n" for value in flow or ()).encode()
        start = Start(name, subprocess.list2cmdline(arguments), shell.folder, shell.environment, shell.system, stdin)
        try:
            running = launch(start)
        except NotStarted as refused:
            raise Terminating(unknown_command(name)) from refused
        return self._lines(running, merged=call.merged)

    def _as_program_sees(self, argument: Argument) -> str:
        """A word of a command line: as it is written, unless it holds a variable or quotes."""
        value = argument.value
        written = isinstance(value, Literal) and argument.raw == text(value.value)
        return (
            argument.raw if argument.name is not None or written or value is None else text(self._script.value(value))
        )

    def _lines(self, running: Any, *, merged: bool) -> Iterator[Any]:
        shell = self._script.shell
        waiting = {1: b"", 2: b""}
        while True:
            try:
                event = next(running)
            except StopIteration as end:
                shell.exit_code = int(end.value or 0)
                break
            if not isinstance(event, Out):
                shell.system.wait(event.seconds)
                continue
            *lines, waiting[event.stream] = (waiting[event.stream] + event.data).split(b"\n")
            for line in lines:
                yield from self._line(event.stream, line, merged=merged)
        for stream, line in waiting.items():
            if line:
                yield from self._line(stream, line, merged=merged)

    def _line(self, stream: int, line: bytes, *, merged: bool) -> Iterator[Any]:
        said = line.decode("utf-8", "replace").rstrip("\r")
        if stream == STDOUT:
            yield said
            return
        record = ErrorRecord(said, "NativeCommandError", "NotSpecified", f"{_SPACE}RemoteException", said)
        if merged:
            yield record
        else:
            self._script.shell.records.append(record)


def unknown_command(name: str) -> ErrorRecord:
    """No cmdlet, function or program has the name."""
    return ErrorRecord(
        f"The term '{name}' is not recognized as the name of a cmdlet, function, script file, or operable program. "
        "Check the spelling of the name, or if a path was included, verify that the path is correct and try again.",
        "CommandNotFoundException",
        "ObjectNotFound",
        f"{_SPACE}CommandNotFoundException",
        name,
    )


def merged_arguments(
    script: Evaluates, parameters: tuple[Parameter, ...] | None, positional: list[Any], named: dict[str, Any]
) -> dict[str, Any]:
    """The variables that a param block makes of arguments; ``$args`` holds what no parameter takes.

    Raises Terminating for a name that no parameter has, and for a value that is not of its type.
    """
    own: dict[str, Any] = {}
    declared = parameters or ()
    by_name = {parameter.name.casefold(): parameter for parameter in declared}
    for name, value in named.items():
        parameter = by_name.get(name.casefold())
        if parameter is None:
            message = f"A parameter cannot be found that matches parameter name '{name}'."
            raise Terminating(
                ErrorRecord(message, "NamedParameterNotFound", "InvalidArgument", f"{_SPACE}ParameterBindingException")
            )
        own[parameter.name.casefold()] = _converted(parameter, value)
    rest = list(positional)
    for parameter in declared:
        key = parameter.name.casefold()
        if key in own:
            continue
        if rest and parameter.type != "switch":
            own[key] = _converted(parameter, rest.pop(0))
        else:
            absent = None if parameter.default is None else script.value(parameter.default)
            own[key] = (
                cast(parameter.type, absent)
                if parameter.type and (absent is not None or parameter.type in _EMPTY)
                else absent
            )
    own["args"] = rest
    return own


_EMPTY = ("string", "int", "int32", "long", "double", "bool", "switch")
"""Types whose parameters are never null."""


def _converted(parameter: Parameter, value: Any) -> Any:
    try:
        return cast(parameter.type, value) if parameter.type else value
    except Terminating as refused:
        message = f"Cannot process argument transformation on parameter '{parameter.name}'. {refused.record.message}"
        raise Terminating(
            ErrorRecord(
                message,
                "ParameterArgumentTransformationError",
                "InvalidData",
                f"{_SPACE}ParameterBindingArgumentTransformationException",
            )
        ) from refused


def _is_void(expression: Expression) -> bool:
    """Whether null from an expression means that it gives nothing: a method without a value, and ``[void]``."""
    called = isinstance(expression, Member) and expression.arguments is not None
    return called or (isinstance(expression, Cast) and expression.type.casefold() == "void")


def _stream(record: Any) -> str:
    return "Error" if isinstance(record, ErrorRecord) else str(record.stream)
