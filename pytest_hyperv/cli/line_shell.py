"""A shell line by line, for guests that have no terminal to give."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Protocol, TextIO

import click

from pytest_hyperv.backends.base import PowerShellSession
from pytest_hyperv.cli.guest_streams import FOREVER, INTERRUPTED, show
from pytest_hyperv.errors import CommandFailed, CommandTimeout
from pytest_hyperv.guest import GuestSession
from pytest_hyperv.psrp.calls import Script
from pytest_hyperv.psrp.dotnet import PSObject

LEAVE = ("exit", "logout", "quit")
PLACE = b"\0"
LINE = """
trap 'printf "\\0%s\\0%s" "$PWD" "$?" >&2' EXIT
cd -- "$1" || exit
eval "$2"
"""
"""Tells after the line's own output in which folder it ended."""


class Lines(Protocol):
    """A guest that runs lines."""

    @property
    def prompt(self) -> str:
        """What is shown before a line is typed."""
        ...

    def run(self, line: str) -> int:
        """Run one, its output shown as it comes; its exit code. KeyboardInterrupt ends it in the guest."""
        ...


class LineShell:
    """``run`` lasts until the person leaves."""

    def __init__(self, guest: Lines) -> None:
        self._guest = guest
        self._status = 0

    def run(self, source: TextIO) -> int:
        """Run what is typed, or the lines of a file. The exit code of the last one, or the number given to ``exit``."""
        typed = source.isatty()
        if typed:
            with suppress(ImportError):
                import readline  # noqa: F401 - lines can be edited then
        while True:
            try:
                line = input(self._guest.prompt) if typed else source.readline()
                if not typed and not line:
                    return self._status
                words = line.split()
                if words and words[0] in LEAVE and len(words) <= 2 and all(word.isdecimal() for word in words[1:]):
                    return int(words[1]) if words[1:] else self._status
                if words:
                    self._status = self._guest.run(line)
            except EOFError:
                click.echo()
                return self._status
            except KeyboardInterrupt:
                click.echo()
                self._status = INTERRUPTED
            except (CommandFailed, CommandTimeout) as error:
                click.echo(error.message, err=True)
                self._status = 1


class PosixLines:
    """Each line by a shell of its own, begun in the folder where the last one ended."""

    def __init__(self, session: GuestSession, name: str) -> None:
        self._session, self._name, self._folder = session, name, "/"

    @property
    def prompt(self) -> str:
        """The machine and the folder."""
        return f"{self._name}:{self._folder}$ "

    def run(self, line: str) -> int:
        """Run a line."""
        held = bytearray()

        def output(stream: int, data: bytes) -> None:
            if stream == 1:
                show(stream, data)
                return
            said, mark, place = data.partition(PLACE) if not held else (b"", b"", data)
            show(stream, said)
            held.extend(mark + place)

        result = self._session.run(["sh", "-c", LINE, "sh", self._folder, line], timeout=FOREVER, on_output=output)
        parts = bytes(held).split(PLACE)
        if len(parts) > 2 and parts[-2].startswith(b"/"):
            self._folder = parts[-2].decode("utf-8", "surrogateescape")
        return result.returncode


class PowerShellLines:
    """Lines in a machine's PowerShell session. Whether variables stay is the road's affair."""

    def __init__(self, session: PowerShellSession, name: str) -> None:
        self._session, self._name = session, name

    @property
    def prompt(self) -> str:
        """The machine."""
        return f"PS {self._name}> "

    def run(self, line: str) -> int:
        """Run a line; what it puts out is shown when it ends, objects by their own text. 1 when there was an error."""
        result = self._session.run(Script(line), timeout=FOREVER)
        for value in (each for each in result.output if each is not None):
            click.echo((value.text if isinstance(value, PSObject) else str(value)).rstrip())
        for warning in result.warnings:
            click.echo(f"WARNING: {warning}", err=True)
        for error in result.errors:
            click.echo(str(error), err=True)
        sys.stdout.flush()
        return result.exit_code or int(result.had_errors)
