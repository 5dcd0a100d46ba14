"""Faults on demand: ``Test-Fault -Kind KIND`` in a pipeline, a command that only the peer has."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import psrpcore
from psrpcore import types as ps

if TYPE_CHECKING:
    from .server import Running, Server

COMMAND = "Test-Fault"
_EXIT_DEAD = 3
_LONG = 10 * 1024 * 1024


def before_ack(server: Server, shell: psrpcore.PowerShell) -> None:
    """The faults that happen while the Data that brings the pipeline is not acknowledged yet."""
    for command in shell.commands:
        if command.command_text == COMMAND:
            kind = dict(command.parameters)["Kind"]
            if kind == "die-before-ack":
                os._exit(_EXIT_DEAD)
            if kind == "no-data-ack":
                server.silent.add("DataAck")
            if kind == "no-input":
                server.reading = False


def happen(running: Running, kind: str) -> Iterator[Any]:
    """Let the fault of this kind happen; those that do not end the pipeline go on with the output "after"."""
    result = _KINDS[kind](running)
    yield "after" if result is None else result


def _die(_running: Running) -> None:
    sys.stderr.write("The peer dies on demand.\n")
    sys.stderr.flush()
    os._exit(_EXIT_DEAD)


def _die_mid_line(running: Running) -> None:
    running.server.wire.last(f"<Data Stream='Default' PSGuid='{running.guid}'>AAAA".encode())
    _die(running)


def _die_mid_pipeline(running: Running) -> None:
    running.output("last words")
    _die(running)


def _silence(running: Running) -> None:
    running.server.wire.mute = True
    threading.Event().wait()


def _stubborn(running: Running) -> None:
    running.stubborn = True
    running.output("started")
    threading.Event().wait()


def _no_state(running: Running) -> None:
    running.tells_its_end = False
    running.output("started")
    running.sleep(600)


def _no_close_ack(running: Running) -> None:
    running.server.silent.add("CloseAck")


def _late_state(running: Running) -> None:
    running.late_state = True


def _garbage(running: Running) -> None:
    running.server.wire.raw(b"<Data Stream='Default' PSGuid='nonsense'>????</Data>\n")


def _unknown_element(running: Running) -> None:
    running.server.wire.raw(f"<Surprise PSGuid='{running.guid}' />\n".encode())


def _noise(running: Running) -> None:
    running.server.wire.raw(b"a program wrote this straight to stdout\n")


def _long_line(running: Running) -> None:
    running.server.wire.raw(f"<Data Stream='Default' PSGuid='{running.guid}'>".encode() + b"A" * _LONG)
    threading.Event().wait()


def _socket_error(running: Running) -> None:
    running.server.wire.raw(b"__HyperVSocketError__:the broker went away\n")


def _bad_xml(running: Running) -> None:
    running.server.message(running.guid, ps.PSRPMessageType.PipelineOutput.value, b"<S>unfinished")


def _bad_value(running: Running) -> None:
    body = b"<Version>one.two</Version>"
    running.server.message(running.guid, ps.PSRPMessageType.PipelineOutput.value, body)


def _noncharacters(running: Running) -> None:
    running.server.message(running.guid, ps.PSRPMessageType.PipelineOutput.value, "<S>\ufffe&#xFFFF;</S>".encode())


def _bad_fragment(running: Running) -> None:
    running.server.wire.data(running.guid, b"too short")


def _child(_running: Running) -> ps.PSInt:
    waiting = [sys.executable, "-c", "import threading; threading.Event().wait()"]
    return ps.PSInt(subprocess.Popen(waiting, stdin=subprocess.DEVNULL).pid)


def _stay(running: Running) -> None:
    """What this kind does has been done before the acknowledgement; the pipeline does not end by itself."""
    running.sleep(600)


_KINDS: dict[str, Callable[[Running], Any]] = {
    "die": _die,
    "die-mid-line": _die_mid_line,
    "die-mid-pipeline": _die_mid_pipeline,
    "die-before-ack": _die,
    "no-data-ack": _stay,
    "no-input": _stay,
    "silence": _silence,
    "stubborn": _stubborn,
    "no-state": _no_state,
    "no-close-ack": _no_close_ack,
    "late-state": _late_state,
    "garbage": _garbage,
    "unknown-element": _unknown_element,
    "noise": _noise,
    "long-line": _long_line,
    "socket-error": _socket_error,
    "bad-xml": _bad_xml,
    "bad-value": _bad_value,
    "noncharacters": _noncharacters,
    "bad-fragment": _bad_fragment,
    "child": _child,
}
