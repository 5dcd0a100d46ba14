"""What is to be run: statements of stages, as they come over the wire or out of a command line."""

from __future__ import annotations

from dataclasses import dataclass

import psrpcore
from psrpcore import types as ps

from tests.hvsim.engine.received import received

Arguments = tuple[tuple[str | None, object], ...]


@dataclass(frozen=True)
class Stage:
    """A command, or a script's text, with its arguments: pairs of parameter name (None: by position) and value.

    `merged` names the streams whose records go to the output ("error", "warning", "verbose").
    """

    name: str
    arguments: Arguments = ()
    is_script: bool = False
    local_scope: bool = False
    merged: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Statement:
    """Stages with pipes between them."""

    stages: tuple[Stage, ...]


def requested(shell: psrpcore.PowerShell) -> list[Statement]:
    """The statements of a pipeline that a client asks for."""
    statements: list[Statement] = []
    stages: list[Stage] = []
    for command in shell.commands:
        stages.append(_stage(command))
        if command.end_of_statement or command is shell.commands[-1]:
            statements.append(Statement(tuple(stages)))
            stages = []
    return statements


def _stage(command: psrpcore.Command) -> Stage:
    return Stage(
        name=command.command_text,
        arguments=tuple(
            (None if name is None else str(name).lstrip("-").rstrip(":"), received(value))
            for name, value in command.parameters
        ),
        is_script=bool(command.is_script),
        local_scope=bool(command.use_local_scope),
        merged=frozenset(_merged(command)),
    )


def _merged(command: psrpcore.Command) -> list[str]:
    output = ps.PipelineResultTypes.Output
    streams = {
        "error": command.merge_error,
        "warning": command.merge_warning,
        "verbose": command.merge_verbose,
    }
    merged = [name for name, target in streams.items() if target == output]
    if command.merge_my == ps.PipelineResultTypes.Error and command.merge_to == output:
        merged.append("error")
    return merged
