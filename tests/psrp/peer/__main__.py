"""Command line: python -m tests.psrp.peer [--device PATH | --connect HOST:PORT] [--die-once FILE] [--book RECORDING].

Other arguments are powershell.exe's and ignored.
"""

from __future__ import annotations

import argparse
import functools
import os
import pathlib
import socket
import sys
import threading

from . import vocabulary
from .book import Book
from .server import Server
from .wire import Wire


def main() -> int:
    """Serve one session; the exit code is that of pwsh -s: 0 after a Close, 160 after a broken line or an early end
    of input.
    """
    parser = argparse.ArgumentParser(prog="peer", add_help=False)
    parser.add_argument("--device")
    parser.add_argument("--connect")
    parser.add_argument("--die-once", type=pathlib.Path)
    parser.add_argument("--book", type=pathlib.Path)
    options, _ = parser.parse_known_args()
    if options.die_once is not None and not options.die_once.exists():
        options.die_once.touch()
        sys.stderr.write("The peer dies at its first start.\n")
        return 1
    book = None if options.book is None else Book(options.book)
    if options.connect:
        host, _, port = options.connect.rpartition(":")
        connection = socket.create_connection((host, int(port)))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return Server(Wire(connection.makefile("rb"), connection.sendall), vocabulary.invoke, book).serve()
    if options.device:
        descriptor = os.open(options.device, os.O_RDWR)
        wire = Wire(os.fdopen(descriptor, "rb", closefd=False), functools.partial(_write, descriptor))
        return Server(wire, vocabulary.invoke, book).serve()
    return Server(
        Wire(sys.stdin.buffer, functools.partial(_write, sys.stdout.fileno())), vocabulary.invoke, book
    ).serve()


def _write(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _die_of(failure: threading.ExceptHookArgs) -> None:
    threading.__excepthook__(failure)
    sys.stderr.flush()
    os._exit(70)


if __name__ == "__main__":
    threading.excepthook = _die_of
    # Threads of pipelines that ignore their stop must not keep the process.
    code = main()
    sys.stderr.flush()
    os._exit(code)
