"""The commands that cmd.exe has of its own."""

from __future__ import annotations

import fnmatch
import ntpath
import re
from dataclasses import replace

from tests.hvsim.guest.command_shell import BANNER, BuiltIn, Shell, ShellExit, run_batch
from tests.hvsim.guest.events import FOREVER, STDERR, STDOUT, Out, Running, Wait, text
from tests.hvsim.guest.files import GuestFileError, GuestFiles, absolute
from tests.hvsim.guest.identity import with_variable
from tests.hvsim.guest.launching import NotStarted, find
from tests.hvsim.guest.processes import add_process
from tests.hvsim.guest.shell_syntax import unquoted

WORD = re.compile(r'(?:"[^"]*"|[^\s"])+')


def _words(rest: str) -> tuple[list[str], list[str]]:
    """The switches, in lower case, and the other words without quotes."""
    words = [unquoted(word) for word in WORD.findall(rest)]
    return [word.casefold() for word in words if word.startswith("/")], [w for w in words if not w.startswith("/")]


def _paths(shell: Shell, rest: str) -> tuple[list[str], list[str]]:
    switches, words = _words(rest)
    return switches, [absolute(word, shell.folder) for word in words]


def echo(shell: Shell, rest: str) -> Running:  # noqa: ARG001
    """The text, as it stands after one separator."""
    if not rest.strip():
        yield from text(STDOUT, "" if rest.startswith((".", ":")) else "ECHO is on.")
    elif rest.strip().casefold() not in ("on", "off"):
        yield from text(STDOUT, rest[1:])
    return 0


def type_files(shell: Shell, rest: str) -> Running:
    """The bytes of files."""
    for path in _paths(shell, rest)[1]:
        with shell.start.system.open() as guest:
            data = guest.files.read(path)
        yield Out(STDOUT, data)
    return 0


def leave(shell: Shell, rest: str) -> Running:
    """End the shell, or with ``/b`` the batch file."""
    switches, words = _words(rest)
    yield from ()
    raise ShellExit(int(words[0]) if words else shell.errorlevel, batch="/b" in switches)


def version(shell: Shell, rest: str) -> Running:  # noqa: ARG001
    """Which Windows this is."""
    yield from text(STDOUT, "", BANNER)
    return 0


def change_folder(shell: Shell, rest: str) -> Running:
    """Go to a folder, or tell the current one."""
    words = _words(rest)[1]
    if not words:
        yield from text(STDOUT, shell.folder)
        return 0
    path = absolute(words[0], shell.folder)
    with shell.start.system.open() as guest:
        if not guest.files.is_folder(path):
            raise GuestFileError(3, path)
    shell.folder = path
    return 0


def set_variable(shell: Shell, rest: str) -> Running:
    """Set, remove or list variables of this shell."""
    assignment = rest.strip()
    if assignment.startswith('"') and assignment.endswith('"'):
        assignment = assignment[1:-1]
    name, equals, value = assignment.partition("=")
    if equals:
        shell.environment = with_variable(shell.environment, name, value or None)
        return 0
    shown = sorted(
        (known, value) for known, value in shell.environment.items() if known.casefold().startswith(name.casefold())
    )
    if not shown:
        yield from text(STDERR, f"Environment variable {name} not defined")
        return 1
    yield from text(STDOUT, *(f"{known}={value}" for known, value in shown))
    return 0


def make_folder(shell: Shell, rest: str) -> Running:
    """Make folders, with those above."""
    code = 0
    for path in _paths(shell, rest)[1]:
        with shell.start.system.open() as guest:
            there = guest.files.exists(path)
            if not there:
                guest.files.make_folder(path)
        if there:
            yield from text(STDERR, f"A subdirectory or file {path} already exists.")
            code = 1
    return code


def remove_folder(shell: Shell, rest: str) -> Running:
    """Remove a folder, with ``/s`` and all in it."""
    switches, paths = _paths(shell, rest)
    yield from ()
    for path in paths:
        with shell.start.system.open() as guest:
            if not guest.files.is_folder(path):
                raise GuestFileError(267 if guest.files.exists(path) else 2, path)
            guest.files.remove(path, tree="/s" in switches)
    return 0


def delete(shell: Shell, rest: str) -> Running:
    """Remove files by name or wildcard; a name that is not there is told and no failure."""
    for pattern in _paths(shell, rest)[1]:
        with shell.start.system.open() as guest:
            found = _matching(guest.files, pattern)
            for path in found:
                guest.files.remove(path)
        if not found:
            yield from text(STDERR, f"Could Not Find {pattern}")
    return 0


def _matching(files: GuestFiles, pattern: str) -> list[str]:
    folder, name = ntpath.split(pattern)
    if not files.is_folder(folder):
        return []
    if files.is_folder(pattern):
        folder, name = pattern, "*"
    entries = files.listdir(folder)
    return [
        entry.path
        for entry in entries
        if entry.kind != "directory" and fnmatch.fnmatch(entry.name.casefold(), name.casefold())
    ]


def copy(shell: Shell, rest: str) -> Running:
    """Copy files to a file or into a folder."""
    paths = _paths(shell, rest)[1]
    source, target = paths[0], paths[1] if len(paths) > 1 else shell.folder
    with shell.start.system.open() as guest:
        found = _matching(guest.files, source)
        if not found:
            raise GuestFileError(2, source)
        for path in found:
            inside = guest.files.is_folder(target)
            guest.files.write(ntpath.join(target, ntpath.basename(path)) if inside else target, guest.files.read(path))
    yield from text(STDOUT, f"        {len(found)} file(s) copied.")
    return 0


def move(shell: Shell, rest: str) -> Running:
    """Rename a file or folder, or put it into another folder; a file in the way is replaced."""
    source, target = _paths(shell, rest)[1]
    with shell.start.system.open() as guest:
        if guest.files.is_folder(target):
            target = ntpath.join(target, ntpath.basename(source))
        kind = guest.files.kind(source)
        if kind == "file" and guest.files.kind(target) == "file":
            guest.files.remove(target)
        guest.files.move(source, target)
    yield from text(STDOUT, f"        1 {'dir' if kind == 'directory' else 'file'}(s) moved.")
    return 0


def rename(shell: Shell, rest: str) -> Running:
    """Give a file another name in its folder."""
    source, name = _words(rest)[1]
    path = absolute(source, shell.folder)
    yield from ()
    with shell.start.system.open() as guest:
        guest.files.move(path, ntpath.join(ntpath.dirname(path), name))
    return 0


def list_folder(shell: Shell, rest: str) -> Running:
    """The names in a folder; without ``/b`` with their sizes; ``/s`` for the folders below."""
    switches, paths = _paths(shell, rest)
    pattern = paths[0] if paths else shell.folder
    with shell.start.system.open() as guest:
        if guest.files.is_folder(pattern):
            entries = guest.files.listdir(pattern)
            folder = pattern
        else:
            folder = ntpath.dirname(pattern)
            wanted = ntpath.basename(pattern).casefold()
            listed = guest.files.listdir(folder)
            entries = [entry for entry in listed if fnmatch.fnmatch(entry.name.casefold(), wanted)]
    if not entries and paths != [folder]:
        yield from text(STDERR, "File Not Found")
        return 1
    if "/b" in switches:
        yield from text(STDOUT, *(entry.name for entry in entries))
        return 0
    yield from text(STDOUT, f" Directory of {folder}", "")
    for entry in entries:
        mark = {"directory": "<DIR>", "symlink": "<SYMLINK>"}.get(entry.kind, f"{entry.size:,}")
        yield from text(STDOUT, f"{mark:>17} {entry.name}")
    return 0


def make_link(shell: Shell, rest: str) -> Running:
    """``mklink LINK TARGET``."""
    words = _words(rest)[1]
    with shell.start.system.open() as guest:
        guest.files.make_link(absolute(words[0], shell.folder), words[1])
    yield from text(STDOUT, f"symbolic link created for {words[0]} <<===>> {words[1]}")
    return 0


def remark(shell: Shell, rest: str) -> Running:  # noqa: ARG001
    """Nothing."""
    yield from ()
    return 0


def call(shell: Shell, rest: str) -> Running:
    """Run a batch file in this shell."""
    words = WORD.findall(rest)
    start = replace(
        shell.start, name=unquoted(words[0]), arguments=" ".join(words[1:]), folder=shell.folder,
        environment=shell.environment, stdin=shell.stdin, by_shell=True,
    )  # fmt: skip
    try:
        path = find(start)
        if ntpath.splitext(path)[1].casefold() not in (".cmd", ".bat"):
            return (yield from shell.launch(start))
        yield from run_batch(shell, path, words[1:], BUILT_IN)
    except NotStarted as refused:
        yield from text(STDERR, refused.text)
        return 1
    return shell.errorlevel


def begin(shell: Shell, rest: str) -> Running:
    """``start "title" /b PROGRAM``: it goes on by itself; what it writes is lost, what it does is done at once."""
    asked = re.fullmatch(r'\s*(?:"[^"]*"\s+)?(?:/\w+\s+)*((?:"[^"]*"|[^\s"])+)\s*(.*)', rest)
    if asked is None:
        yield from text(STDERR, "The syntax of the command is incorrect.")
        return 1
    start = replace(
        shell.start, name=unquoted(asked[1]), arguments=asked[2], folder=shell.folder,
        environment=shell.environment, by_shell=True, apart=True,
    )  # fmt: skip
    try:
        path = find(start)
        running = shell.launch(start)
    except NotStarted:
        yield from text(STDERR, f"The system cannot find the file {asked[1]}.")
        return 1
    lasts = 0.0
    for event in running:
        lasts += event.seconds if isinstance(event, Wait) else 0.0
        if lasts >= FOREVER:
            break
    with shell.start.system.open() as guest:
        add_process(guest, path, lasts=lasts)
    return 0


BUILT_IN: dict[str, BuiltIn] = {
    "echo": echo,
    "type": type_files,
    "exit": leave,
    "ver": version,
    "cd": change_folder,
    "chdir": change_folder,
    "set": set_variable,
    "mkdir": make_folder,
    "md": make_folder,
    "rmdir": remove_folder,
    "rd": remove_folder,
    "del": delete,
    "erase": delete,
    "copy": copy,
    "move": move,
    "ren": rename,
    "rename": rename,
    "dir": list_folder,
    "mklink": make_link,
    "rem": remark,
    "setlocal": remark,
    "call": call,
    "start": begin,
}
