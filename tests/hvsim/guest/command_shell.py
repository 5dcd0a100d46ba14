"""cmd.exe of a simulated guest: lines, batch files, redirections; its own commands are in ``shell_commands``."""

from __future__ import annotations

import ntpath
import re
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace

from tests.hvsim.guest.command_line import split_arguments
from tests.hvsim.guest.events import STDERR, STDOUT, Event, Out, Running, Start, Wait, collect, text
from tests.hvsim.guest.files import GuestFileError, absolute
from tests.hvsim.guest.identity import OS_VERSION, variable
from tests.hvsim.guest.launching import BATCH, Launch, NotStarted
from tests.hvsim.guest.serial import write_port
from tests.hvsim.guest.shell_syntax import (
    Chain,
    Group,
    If,
    Node,
    Pipe,
    Redirect,
    Simple,
    SyntaxTrouble,
    expand,
    parse,
    unquoted,
)

BANNER = f"Microsoft Windows [Version {OS_VERSION.removesuffix('.0')}.1742]"
PORT = re.compile(r"COM[12]:?", re.IGNORECASE)
NOT_FOUND = 9009
NAME = re.compile(r'\s*("[^"]*"|[^\s"/,;=<>|&()]+)')


class ShellExit(Exception):
    """``exit``: the shell ends. With ``/b`` only the batch file does."""

    def __init__(self, code: int, *, batch: bool = False) -> None:
        super().__init__(code)
        self.code = code
        self.batch = batch


@dataclass
class Shell:
    """What a shell remembers from one command to the next, and the input of the command that runs."""

    start: Start
    folder: str
    environment: dict[str, str]
    launch: Launch
    errorlevel: int = 0
    stdin: bytes = b""


BuiltIn = Callable[[Shell, str], Running]


def shell_program(built_in: dict[str, BuiltIn], launch: Launch) -> Callable[[Start], Running]:
    """cmd.exe: ``/c LINE``, with ``/d``, ``/s``, ``/q`` and ``/v`` before it; without ``/c`` it reads its input."""

    def cmd(start: Start) -> Running:
        shell = Shell(start, start.folder, dict(start.environment), launch, stdin=start.stdin)
        line = _command_of(start.arguments)
        lines = [line] if line is not None else start.stdin.decode("utf-8", "replace").splitlines()
        if line is None:
            yield from text(STDOUT, BANNER)
        try:
            for each in lines:
                yield from run_line(shell, each, built_in)
        except ShellExit as end:
            return end.code
        return 1 if shell.errorlevel == NOT_FOUND else shell.errorlevel

    return cmd


def batch_program(built_in: dict[str, BuiltIn], launch: Launch) -> Callable[[Start], Running]:
    """What runs a ``.cmd`` or ``.bat`` file that is started as a program; `Start.name` is its full path."""

    def batch(start: Start) -> Running:
        shell = Shell(start, start.folder, dict(start.environment), launch, stdin=start.stdin)
        try:
            yield from run_batch(shell, start.name, split_arguments(start.arguments), built_in)
        except ShellExit as end:
            return end.code
        return shell.errorlevel

    return batch


def _command_of(arguments: str) -> str | None:
    """The line after ``/c``, its outer quotes taken off by the rules that ``cmd /?`` tells."""
    plain = False
    place = 0
    while match := re.compile(r"\s*/([a-z])(:\w+)?", re.IGNORECASE).match(arguments, place):
        place = match.end()
        if match[1].casefold() == "s":
            plain = True
        if match[1].casefold() in "ckr":
            return _without_outer_quotes(arguments[place:].lstrip(), plain)
    return None


def _without_outer_quotes(line: str, plain: bool) -> str:
    if not line.startswith('"'):
        return line
    inside = line[1:].partition('"')[0]
    simple = line.count('"') == 2 and not re.search(r"[&<>()@^|]", line) and " " in inside
    if not plain and simple and ntpath.splitext(inside)[1].casefold() in (".exe", ".com", *BATCH):
        return line
    head, quote, tail = line[1:].rpartition('"')
    return head + tail if quote else line[1:]


def run_line(shell: Shell, line: str, built_in: dict[str, BuiltIn]) -> Generator[Event, None, None]:
    """Run one line; its exit code is in ``shell.errorlevel``. Raises ShellExit."""
    expanded = expand(line, shell.environment, lambda name: _special(shell, name))
    try:
        node = parse(expanded)
    except SyntaxTrouble as trouble:
        yield from text(STDERR, str(trouble))
        shell.errorlevel = 255
        return
    if node is not None:
        shell.errorlevel = yield from _run(shell, node, built_in)


def run_batch(
    shell: Shell, path: str, arguments: list[str], built_in: dict[str, BuiltIn]
) -> Generator[Event, None, None]:
    """Run the lines of a batch file in this shell. Raises ShellExit when it ends the shell."""
    with shell.start.system.open() as guest:
        lines = guest.files.read(path).decode("utf-8", "replace").splitlines()
    for line in lines:
        stripped = line.strip().lstrip("@").strip()
        if not stripped or stripped.startswith(":") or stripped.casefold() == "echo off":
            continue
        if stripped.casefold() in ("goto :eof", "goto:eof"):
            return
        try:
            yield from run_line(shell, _batch_arguments(stripped, path, arguments), built_in)
        except ShellExit as end:
            if not end.batch:
                raise
            shell.errorlevel = end.code
            return


def _batch_arguments(line: str, path: str, arguments: list[str]) -> str:
    line = line.replace("%~dp0", ntpath.dirname(path).rstrip("\\") + "\\").replace("%*", " ".join(arguments))
    words = [path, *arguments]

    def word(match: re.Match[str]) -> str:
        number = int(match[2])
        value = words[number] if number < len(words) else ""
        return value.strip('"') if match[1] else value

    return re.sub(r"%(~?)(\d)", word, line).replace("%%", "%")


def _special(shell: Shell, name: str) -> str | None:
    return {"errorlevel": str(shell.errorlevel), "cd": shell.folder}.get(name)


def _run(shell: Shell, node: Node, built_in: dict[str, BuiltIn]) -> Running:
    if isinstance(node, Chain):
        code = yield from _run(shell, node.left, built_in)
        shell.errorlevel = code
        if node.operator == "&" or (node.operator == "&&") == (code == 0):
            return (yield from _run(shell, node.right, built_in))
        return code
    if isinstance(node, Pipe):
        left = yield from collect(_run(shell, node.left, built_in))
        if left.stderr:
            yield Out(STDERR, left.stderr)
        before, shell.stdin = shell.stdin, left.stdout
        try:
            return (yield from _run(shell, node.right, built_in))
        finally:
            shell.stdin = before
    if isinstance(node, If):
        chosen = node.then if _holds(shell, node) != node.negated else node.otherwise
        return (yield from _run(shell, chosen, built_in)) if chosen is not None else shell.errorlevel
    return (yield from _redirected(shell, node, built_in))


def _holds(shell: Shell, node: If) -> bool:
    if node.kind == "exist":
        with shell.start.system.open() as guest:
            return guest.files.exists(absolute(node.operands[0], shell.folder))
    if node.kind == "defined":
        return variable(shell.environment, node.operands[0]) is not None
    if node.kind == "errorlevel":
        return shell.errorlevel >= int(node.operands[0])
    left, right = (operand.casefold() if node.any_case else operand for operand in node.operands)
    if left.lstrip("-").isdigit() and right.lstrip("-").isdigit():
        order = (int(left) > int(right)) - (int(left) < int(right))
    else:
        order = (left > right) - (left < right)
    return {
        "equ": order == 0, "neq": order != 0, "lss": order < 0, "leq": order <= 0, "gtr": order > 0, "geq": order >= 0,
    }[node.kind]  # fmt: skip


def _redirected(shell: Shell, node: Simple | Group, built_in: dict[str, BuiltIn]) -> Running:
    ways: dict[int, int | str] = {STDOUT: STDOUT, STDERR: STDERR}
    before = shell.stdin
    try:
        for redirect in node.redirects:
            _take_way(shell, ways, redirect)
        running = _run(shell, node.inner, built_in) if isinstance(node, Group) else _simple(shell, node.text, built_in)
        return (yield from _turned(shell, running, ways))
    except GuestFileError as error:
        yield from text(STDERR, error.text)
        return 1
    finally:
        shell.stdin = before


def _take_way(shell: Shell, ways: dict[int, int | str], redirect: Redirect) -> None:
    if redirect.mode == "&":
        ways[redirect.stream] = ways[int(redirect.target)]
        return
    port = PORT.fullmatch(redirect.target)
    if port:
        ways[redirect.stream] = port[0].upper()
        return
    path = "" if redirect.target.casefold() == "nul" else absolute(redirect.target, shell.folder)
    with shell.start.system.open() as guest:
        if redirect.mode == "<":
            shell.stdin = guest.files.read(path) if path else b""
            return
        if path and (redirect.mode == ">" or not guest.files.exists(path)):
            guest.files.write(path, b"")
    ways[redirect.stream] = path


def _turned(shell: Shell, running: Running, ways: dict[int, int | str]) -> Running:
    """Run a command with its streams led elsewhere; files are written at each wait and at the end."""
    waiting: dict[str, bytes] = {}
    try:
        while True:
            try:
                event = next(running)
            except StopIteration as end:
                return int(end.value or 0)
            way = ways[event.stream] if isinstance(event, Out) else ""
            if isinstance(event, Wait):
                _write_out(shell, waiting)
                yield event
            elif isinstance(way, int):
                yield replace(event, stream=way)
            elif way:
                waiting[way] = waiting.get(way, b"") + event.data
    finally:
        _write_out(shell, waiting)


def _write_out(shell: Shell, waiting: dict[str, bytes]) -> None:
    if waiting:
        with shell.start.system.open() as guest:
            for path, data in waiting.items():
                if PORT.fullmatch(path):
                    write_port(guest, int(path[3]), data)
                else:
                    guest.files.append(path, data)
        waiting.clear()


def _simple(shell: Shell, line: str, built_in: dict[str, BuiltIn]) -> Running:
    line = line.lstrip()
    match = NAME.match(line)
    if match is None:
        return 0
    name, rest = unquoted(match[1]), line[match.end() :]
    known = re.match(r"[a-z]+", name, re.IGNORECASE)
    if known and not match[1].startswith('"') and known[0].casefold() in built_in and not _is_path(name, known[0]):
        return (yield from built_in[known[0].casefold()](shell, name[known.end() :] + rest))
    start = replace(
        shell.start, name=name, arguments=rest.lstrip(), folder=shell.folder, environment=shell.environment,
        stdin=shell.stdin, by_shell=True,
    )  # fmt: skip
    try:
        running = shell.launch(start)
    except NotStarted:
        yield from text(
            STDERR, f"'{name}' is not recognized as an internal or external command,", "operable program or batch file."
        )
        return NOT_FOUND
    return (yield from running)


def _is_path(name: str, command: str) -> bool:
    """Whether a name that begins with a command's is another one, as ``cd.exe`` or ``echoes`` are."""
    after = name[len(command) :]
    return bool(after) and (after[0].isalnum() or after[0] in "_-" or after.casefold().startswith(".exe"))
