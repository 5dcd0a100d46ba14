"""The messages that make a pipeline run: its creation (MS-PSRP 2.2.2.10) from a template of its shape, and its input.

psrpcore takes 2-3 ms for one such message, which is most of a short call. What differs between two calls of one shape
is only the values: the rest is written by psrpcore once and kept.
"""

from __future__ import annotations

import functools
import re
import uuid
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import psrpcore
from psrpcore import types as ps

from pytest_hyperv.psrp.calls import Call, Command
from pytest_hyperv.psrp.messages import MESSAGE_HEAD, Joiner, Message, bytes_body, new_message
from pytest_hyperv.psrp.values import to_wire

_SHAPES = 256
_REFERENCES_APART = 1_000_000
_PLACEHOLDER = "value-goes-here-7c1f-"
_PLACEHOLDER_ELEMENT = re.compile(f'<S N="V">{_PLACEHOLDER}([0-9]+)</S>'.encode())

Shape = tuple[tuple[tuple[str, bool, bool, tuple[str | None, ...]], ...], ...]


def add_commands(pipeline: psrpcore.ClientPowerShell, shape: Shape, values: Iterator[Any]) -> None:
    """Put the commands of a call into psrpcore's pipeline, their parameters taking ``values`` in turn."""
    for number, statement in enumerate(shape):
        if number:
            pipeline.add_statement()
        for name, is_script, local_scope, parameters in statement:
            command = psrpcore.Command(name, is_script, use_local_scope=True if local_scope else None)
            for parameter in parameters:
                command.add_parameter(parameter, next(values))
            pipeline.add_command(command)


def shape_of(call: Call) -> Shape:
    """Everything about a call but its values."""
    return tuple(
        tuple(
            (stage.name, False, False, tuple(name for name, _ in stage.parameters))
            if isinstance(stage, Command)
            else (stage.text, True, stage.local_scope, tuple(name for name, _ in stage.parameters))
            for stage in statement.stages
        )
        for statement in call.statements
    )


def values_of(call: Call) -> list[Any]:
    """The values of a call, in the order of its shape, as psrpcore takes them. Raises UnsendableValue."""
    return [to_wire(value) for _, value in call.parameters]


def new_pipeline(
    pool: psrpcore.ClientRunspacePool, identity: uuid.UUID, *, no_input: bool
) -> psrpcore.ClientPowerShell:
    """A pipeline in psrpcore's pool, without commands. Errors come with the position they happened at."""
    return psrpcore.ClientPowerShell(
        pool,
        no_input=no_input,
        remote_stream_options=ps.RemoteStreamOptions.AddInvocationInfoToErrorRecord,
        pipeline_id=identity,
    )


def creation_message(
    shape: Shape, values: list[Any], *, pool: uuid.UUID, pipeline: uuid.UUID, no_input: bool
) -> Message:
    """The message that creates a pipeline whose values hold no secret. The caller numbers it."""
    body = list(_template(shape, no_input))
    for place in range(1, len(body), 2):
        body[place] = _element(values[int(body[place])], place * _REFERENCES_APART)
    return new_message(ps.PSRPMessageType.CreatePipeline.value, pool=pool, pipeline=pipeline, body=b"".join(body))


def input_message(value: Any, *, pool: uuid.UUID, pipeline: uuid.UUID) -> Message:
    """The message that brings one input object, as psrpcore takes it, that holds no secret. The caller numbers it."""
    kind = ps.PSRPMessageType.PipelineInput.value
    if isinstance(value, bytes):
        return new_message(kind, pool=pool, pipeline=pipeline, body=bytes_body(value), clean=True)
    body = _clixml(ps.serialize(value, psrpcore.PSRemotingCrypto()))
    return new_message(kind, pool=pool, pipeline=pipeline, body=body)


def end_of_input_message(*, pool: uuid.UUID, pipeline: uuid.UUID) -> Message:
    """The message that says no input follows (MS-PSRP 2.2.2.18). The caller numbers it."""
    kind = ps.PSRPMessageType.EndOfPipelineInput.value
    return new_message(kind, pool=pool, pipeline=pipeline, body=b"", clean=True)


def _element(value: Any, references_from: int) -> bytes:
    """A parameter's value as CLIXML, with reference ids that no other part of the message has."""
    element = ps.serialize(value, psrpcore.PSRemotingCrypto())
    element.set("N", "V")
    for part in element.iter():
        if "RefId" in part.attrib:
            part.set("RefId", str(int(part.attrib["RefId"]) + references_from))
    return _clixml(element)


def _clixml(element: ElementTree.Element) -> bytes:
    text: bytes = ElementTree.tostring(element, encoding="utf-8", method="xml")
    return text


@functools.lru_cache(maxsize=_SHAPES)
def _template(shape: Shape, no_input: bool) -> tuple[bytes, ...]:
    """What psrpcore writes for this shape, cut where the values go; between the pieces stand the values' numbers.

    The first of several statements is written twice, so a value may have two places.
    """
    pool = psrpcore.ClientRunspacePool(host=ps.HostInfo())
    pool.state = ps.RunspacePoolState.Opened
    pool.their_capability = pool.our_capability
    pipeline = new_pipeline(pool, uuid.uuid4(), no_input=no_input)
    count = sum(len(parameters) for statement in shape for *_, parameters in statement)
    add_commands(pipeline, shape, (f"{_PLACEHOLDER}{number}" for number in range(count)))
    pipeline.start()
    payload = pool.data_to_send()
    if payload is None:
        raise AssertionError("psrpcore gave no message for a pipeline that was started")
    (message,) = Joiner().feed(payload.data)
    return tuple(_PLACEHOLDER_ELEMENT.split(message.raw[MESSAGE_HEAD:]))
