"""Programs of the guest that read and write text: who and where, waiting, looking for text, copying bytes, digests.

``cat`` and ``args`` are no part of Windows; they lie in C:\\Tools, for tests that need a program without habits:
``cat`` writes its standard input, or the files it is given, byte for byte; ``args`` writes each argument and a ``|``.
"""

from __future__ import annotations

import hashlib
import ntpath

from tests.hvsim.guest.command_line import split_arguments
from tests.hvsim.guest.events import FOREVER, STDERR, STDOUT, Out, Running, Start, Wait, text
from tests.hvsim.guest.files import GuestFileError, absolute, program_paths
from tests.hvsim.guest.identity import COMPUTER, OS_NAME, OS_VERSION, variable
from tests.hvsim.guest.system import Opened
from tests.hvsim.host.switches import addresses

PIECE = 1 << 16
HOSTS = r"C:\Windows\System32\drivers\etc\hosts"
NO_ANSWER = 4.0
"""Seconds that ``ping`` waits for each answer when it is not told."""
ENDLESS = 3600
"""Echo requests after which ``ping -t`` counts as one that never ends."""


def hostname(start: Start) -> Running:  # noqa: ARG001
    """The computer's name."""
    yield from text(STDOUT, COMPUTER)
    return 0


def whoami(start: Start) -> Running:
    """The account, as computer\\user in lower case."""
    yield from text(STDOUT, f"{COMPUTER}\\{variable(start.environment, 'USERNAME')}".lower())
    return 0


def systeminfo(start: Start) -> Running:  # noqa: ARG001
    """A few facts of the system."""
    yield from text(
        STDOUT, "", f"Host Name:                 {COMPUTER}", f"OS Name:                   {OS_NAME}",
        f"OS Version:                {OS_VERSION.removesuffix('.0')} N/A Build {OS_VERSION.split('.')[2]}",
    )  # fmt: skip
    return 0


def ping(start: Start) -> Running:
    """``-n COUNT`` answers, a second apart; ``-t`` without end."""
    arguments = split_arguments(start.arguments)
    options = [argument.casefold().replace("/", "-") for argument in arguments]
    count = int(options[options.index("-n") + 1]) if "-n" in options else 4
    target = next((each for each in reversed(arguments) if not each.startswith(("-", "/"))), "")
    if not target or (target.isdigit() and "-n" in options and arguments[-1] == target and len(arguments) == 2):
        yield from text(STDOUT, "IP address must be specified.")
        return 1
    with start.system.open() as guest:
        reached = reaches(guest, target)
    yield from text(STDOUT, "", f"Pinging {target} with 32 bytes of data:")
    if not reached:
        wait = float(options[options.index("-w") + 1]) / 1000 if "-w" in options else NO_ANSWER
        for _ in range(count):
            yield Wait(wait)
            yield from text(STDOUT, "Request timed out.")
        return 1
    place = 0
    while "-t" in options or place < count:
        if place:
            yield Wait(FOREVER if place > ENDLESS else 1.0)
        yield from text(STDOUT, f"Reply from {target}: bytes=32 time<1ms TTL=128")
        place += 1
    yield from text(STDOUT, "", f"Ping statistics for {target}:", f"    Packets: Sent = {count}, Received = {count}")
    return 0


def reaches(guest: Opened, target: str) -> bool:
    """Whether an address is the guest's own, or that of a machine that runs on a switch it is on too."""
    if target.casefold() in ("localhost", "::1", COMPUTER.casefold()) or target.startswith("127."):
        return True
    named = [line.split() for line in _hosts(guest) if not line.startswith("#")]
    target = next((address for address, *names in filter(None, named) if target in names), target)
    own = {adapter.switch for adapter in guest.vm.settings.adapters if adapter.switch}
    return any(
        target in addresses(guest.world, vm, adapter)
        for vm in guest.world.machines.values()
        for adapter in vm.settings.adapters
        if adapter.switch in own
    )


def _hosts(guest: Opened) -> list[str]:
    return guest.files.read(HOSTS).decode().splitlines() if guest.files.exists(HOSTS) else []


def timeout(start: Start) -> Running:  # noqa: ARG001
    """Wants a console: with its input redirected, as everything that a session starts has it, it refuses."""
    yield from text(STDERR, "ERROR: Input redirection is not supported, exiting the process immediately.")
    return 1


def cat(start: Start) -> Running:
    """Standard input, or the files named, byte for byte."""
    for data in _contents(start, split_arguments(start.arguments)):
        for place in range(0, len(data), PIECE):
            yield Out(STDOUT, data[place : place + PIECE])
    return 0


def args(start: Start) -> Running:
    """Each argument and a ``|`` after it."""
    yield Out(STDOUT, "".join(f"{argument}|" for argument in split_arguments(start.arguments)).encode())
    return 0


def more(start: Start) -> Running:
    """Text of standard input or of files; line ends become CR LF."""
    for data in _contents(start, split_arguments(start.arguments)):
        yield from text(STDOUT, *data.decode("utf-8", "replace").splitlines())
    return 0


def sort(start: Start) -> Running:
    """The lines of standard input or of a file in order; ``/r`` for the other."""
    arguments = split_arguments(start.arguments)
    names = [argument for argument in arguments if not argument.startswith("/")]
    lines = [
        line for data in _contents(start, names) for line in data.decode("utf-8", "replace").splitlines()
    ]  # fmt: skip
    backwards = any(argument.casefold() in ("/r", "/reverse") for argument in arguments)
    yield from text(STDOUT, *sorted(lines, key=str.casefold, reverse=backwards))
    return 0


def findstr(start: Start) -> Running:
    """Lines that hold one of the words, bytes unchanged; ``^`` is in every line. /i, /v, /c:TEXT."""
    options, words, names = "", [], []
    for argument in split_arguments(start.arguments):
        if argument.casefold().startswith("/c:"):
            words.append(argument[3:])
        elif argument.startswith("/"):
            options += argument[1:].casefold()
        elif words:
            names.append(argument)
        else:
            words = argument.split()
    found = False
    for data in _contents(start, names):
        for line in data.splitlines(keepends=True):
            if _matches(line, words, options) != ("v" in options):
                found = True
                yield Out(STDOUT, line)
    return 0 if found else 1


def _matches(line: bytes, words: list[str], options: str) -> bool:
    spoken = line.decode("utf-8", "replace")
    if "i" in options:
        return any(word == "^" or word.casefold() in spoken.casefold() for word in words)
    return any(word == "^" or word in spoken for word in words)


def fc(start: Start) -> Running:
    """Compare two files; ``/b`` is understood and makes no difference. 1 when they differ, 2 when one is missing."""
    names = [argument for argument in split_arguments(start.arguments) if not argument.startswith("/")]
    if len(names) != 2:
        yield from text(STDERR, "FC: Insufficient number of file specifications")
        return 2
    contents = []
    for name in names:
        try:
            contents.append(_read(start, name))
        except GuestFileError as error:
            yield from text(STDERR, f"FC: cannot open {name.upper()} - {error.text}")
            return 2
    yield from text(STDOUT, f"Comparing files {names[0]} and {names[1].upper()}")
    same = contents[0] == contents[1]
    yield from text(STDOUT, "FC: no differences encountered" if same else "***** files differ *****", "")
    return 0 if same else 1


def certutil(start: Start) -> Running:
    """``-hashfile FILE [ALGORITHM]``, as an installer's check uses it."""
    arguments = split_arguments(start.arguments)
    if len(arguments) < 2 or arguments[0].casefold() not in ("-hashfile", "/hashfile"):
        yield from text(STDOUT, "CertUtil: Unknown arg")
        return -2147024809
    algorithm = arguments[2] if len(arguments) > 2 else "SHA1"
    try:
        digest = hashlib.new(algorithm, _read(start, arguments[1]), usedforsecurity=False).hexdigest()
    except GuestFileError as error:
        yield from text(
            STDOUT, f"CertUtil: -hashfile command FAILED: 0x8007000{error.code} (WIN32: {error.code})",
            f"CertUtil: {error.text}",
        )  # fmt: skip
        return -2147024896 + error.code
    yield from text(
        STDOUT, f"{algorithm.upper()} hash of {arguments[1]}:", digest,
        "CertUtil: -hashfile command completed successfully.",
    )  # fmt: skip
    return 0


def where(start: Start) -> Running:
    """The path of each program named; 1 when one is in no folder of PATH."""
    code = 0
    for name in split_arguments(start.arguments):
        wanted = name.casefold() if ntpath.splitext(name)[1] else f"{name.casefold()}.exe"
        known = next((path for path in program_paths() if ntpath.basename(path).casefold() == wanted), None)
        if known is None:
            code = 1
            yield from text(STDERR, "INFO: Could not find files for the given pattern(s).")
        else:
            yield from text(STDOUT, known)
    return code


def _contents(start: Start, names: list[str]) -> list[bytes]:
    return [_read(start, name) for name in names] if names else [start.stdin]


def _read(start: Start, name: str) -> bytes:
    with start.system.open() as guest:
        return guest.files.read(absolute(name, start.folder))


PROGRAMS = {
    "hostname": hostname,
    "whoami": whoami,
    "systeminfo": systeminfo,
    "ping": ping,
    "timeout": timeout,
    "cat": cat,
    "args": args,
    "more": more,
    "sort": sort,
    "findstr": findstr,
    "fc": fc,
    "certutil": certutil,
    "where": where,
}
