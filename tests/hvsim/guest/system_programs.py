"""Programs of the guest that change the system: services, the registry, processes, power, and a crash on request.

``bugcheck`` is no part of Windows; it lies in C:\\Tools and lets the guest crash: ``bugcheck [CODE]``.
"""

from __future__ import annotations

import json

from tests.hvsim.guest.command_line import split_arguments
from tests.hvsim.guest.events import FOREVER, STDERR, STDOUT, Running, Start, Wait, text
from tests.hvsim.guest.processes import end_processes, processes
from tests.hvsim.guest.services import SERVICES, service, set_status, status
from tests.hvsim.guest.system import Opened
from tests.hvsim.host.crashes import bugcheck as crash
from tests.hvsim.host.crashes import guest_restarts, guest_shuts_down
from tests.hvsim.host.machines import Transition
from tests.hvsim.host.states import StateName

REGISTRY = r"C:\Windows\System32\config\SIMULATED"
"""The file that keeps what ``reg.exe`` was told, as JSON: key, then name of the value, then type and data."""
HIVES = {"hklm": "HKEY_LOCAL_MACHINE", "hkcu": "HKEY_CURRENT_USER", "hku": "HKEY_USERS", "hkcr": "HKEY_CLASSES_ROOT"}
NO_SERVICE = 1060
ALREADY_RUNS = 1056
NOT_STARTED = 1062
REFUSALS = {
    ALREADY_RUNS: "An instance of the service is already running.",
    NOT_STARTED: "The service has not been started.",
}


def sc(start: Start) -> Running:
    """``query|start|stop SERVICE``."""
    words = split_arguments(start.arguments)
    verb, name = ([*words, "", ""])[:2]
    known = service(name)
    if known is None:
        yield from text(STDOUT, f"[SC] EnumQueryServicesStatus:OpenService FAILED {NO_SERVICE}:", "")
        yield from text(STDOUT, "The specified service does not exist as an installed service.", "")
        return NO_SERVICE
    with start.system.open() as guest:
        runs = status(guest.memory, known) == "Running"
        failure = {"start": ALREADY_RUNS if runs else 0, "stop": 0 if runs else NOT_STARTED}.get(verb.casefold(), 0)
        if not failure and verb.casefold() in ("start", "stop"):
            set_status(guest.memory, known, "Running" if verb.casefold() == "start" else "Stopped")
        runs = status(guest.memory, known) == "Running"
    if failure:
        yield from text(STDOUT, f"[SC] {verb.casefold()}Service FAILED {failure}:", "", REFUSALS[failure], "")
        return failure
    yield from text(STDOUT, "", f"SERVICE_NAME: {known.name}", "        TYPE               : 20  WIN32_SHARE_PROCESS  ")
    yield from text(STDOUT, f"        STATE              : {'4  RUNNING' if runs else '1  STOPPED'} ")
    return 0


def net(start: Start) -> Running:
    """``start`` lists what runs; ``start|stop SERVICE`` changes it."""
    words = split_arguments(start.arguments)
    verb, name = ([*words, "", ""])[:2]
    with start.system.open() as guest:
        if verb.casefold() == "start" and not name:
            running = [known.display for known in SERVICES if status(guest.memory, known) == "Running"]
        else:
            known = service(name)
            if known is not None:
                set_status(guest.memory, known, "Running" if verb.casefold() == "start" else "Stopped")
    if verb.casefold() == "start" and not name:
        yield from text(STDOUT, "These Windows services are started:", "", *(f"   {each}" for each in running))
        return 0
    if known is None:
        yield from text(
            STDERR, "The service name is invalid.", "", "More help is available by typing NET HELPMSG 2185."
        )
        return 2
    ended = "started" if verb.casefold() == "start" else "stopped"
    yield from text(STDOUT, f"The {known.display} service was {ended} successfully.", "")
    return 0


def netsh(start: Start) -> Running:
    """The firewall's settings, and nothing else."""
    if "advfirewall" not in start.arguments.casefold():
        yield from text(STDOUT, f"The following command was not found: {start.arguments}.")
        return 1
    yield from text(STDOUT, "Ok.", "")
    return 0


def tasklist(start: Start) -> Running:
    """What runs; ``/fi "imagename eq NAME"`` for one name, ``/nh`` without a head."""
    words = split_arguments(start.arguments)
    wanted = next((word.split()[-1].casefold() for word in words if word.casefold().startswith("imagename eq")), None)
    with start.system.open() as guest:
        found = [(pid, image) for pid, image in processes(guest) if wanted in (None, image.casefold())]
    if not found:
        yield from text(STDOUT, "INFO: No tasks are running which match the specified criteria.")
        return 0
    if "/nh" not in (word.casefold() for word in words):
        yield from text(STDOUT, "", f"{'Image Name':<25} {'PID':>8} Session Name")
    yield from text(STDOUT, *(f"{image:<25} {pid:>8} Services" for pid, image in found))
    return 0


def taskkill(start: Start) -> Running:
    """``/pid N`` or ``/im NAME``; ``/f`` and ``/t`` make no difference."""
    words = [word.casefold() for word in split_arguments(start.arguments)]
    image = words[words.index("/im") + 1] if "/im" in words else None
    pid = int(words[words.index("/pid") + 1]) if "/pid" in words else None
    with start.system.open() as guest:
        gone = end_processes(guest, image=image, pid=pid)
    if not gone:
        yield from text(STDERR, f'ERROR: The process "{image or pid}" not found.')
        return 128
    yield from text(STDOUT, *(f"SUCCESS: The process with PID {each} has been terminated." for each in gone))
    return 0


def shutdown(start: Start) -> Running:
    """``/s`` and ``/r``, ``/t SECONDS`` later (30 when it does not say)."""
    words = [word.casefold().replace("-", "/", 1) for word in split_arguments(start.arguments)]
    delay = float(words[words.index("/t") + 1]) if "/t" in words else 30.0
    if "/r" not in words and "/s" not in words:
        yield from text(STDOUT, "Usage: shutdown [/i | /l | /s | /sg | /r | /g | /a | /p | /h | /e | /o] [/f]")
        return 1
    with start.system.open() as guest:
        go_down(guest, restart="/r" in words, delay=delay)
    yield from ()
    return 0


def go_down(guest: Opened, *, restart: bool, delay: float = 0.0) -> None:
    """Let the guest shut itself down or restart, `delay` seconds from now."""
    if not delay:
        (guest_restarts if restart else guest_shuts_down)(guest.world, guest.vm)
        return
    to, cause = (StateName.Running, "boot") if restart else (StateName.Off, "shut down by guest")
    guest.vm.transition = Transition(int(to), guest.world.now + delay, cause)


def bugcheck(start: Start) -> Running:
    """Crash with a bug check: the code is the first argument, as ``0x..`` or decimal."""
    words = split_arguments(start.arguments)
    with start.system.open() as guest:
        crash(guest.world, guest.vm, f"0x{int(words[0], 0) if words else 0xE2:X}")
    yield Wait(FOREVER)
    return 0


def reg(start: Start) -> Running:
    """``add KEY /v NAME [/t TYPE] /d DATA``, ``query KEY [/v NAME]`` and ``delete KEY``."""
    words = split_arguments(start.arguments)
    verb, key = words[0].casefold(), _key(words[1])
    options = {word.casefold(): value for word, value in zip(words[2:], [*words[3:], ""], strict=False)}
    with start.system.open() as guest:
        stored = json.loads(guest.files.read(REGISTRY)) if guest.files.exists(REGISTRY) else {}
        there = key in stored and ("/v" not in options or options["/v"] in stored[key])
        if verb == "add":
            stored.setdefault(key, {})[options.get("/v", "")] = [options.get("/t", "REG_SZ"), options.get("/d", "")]
        elif verb == "delete" and there:
            del stored[key]
        if verb in ("add", "delete"):
            guest.files.make_folder(r"C:\Windows\System32\config")
            guest.files.write(REGISTRY, json.dumps(stored).encode())
    if verb in ("query", "delete") and not there:
        yield from text(STDERR, "ERROR: The system was unable to find the specified registry key or value.")
        return 1
    if verb == "query":
        shown = {name: value for name, value in stored[key].items() if options.get("/v", name) == name}
        yield from text(STDOUT, "", key, *(f"    {name}    {kind}    {data}" for name, (kind, data) in shown.items()))
        return 0
    yield from text(STDOUT, "The operation completed successfully.")
    return 0


def _key(path: str) -> str:
    hive, _, rest = path.partition("\\")
    return f"{HIVES.get(hive.casefold(), hive.upper())}\\{rest}"


PROGRAMS = {
    "sc": sc,
    "net": net,
    "netsh": netsh,
    "reg": reg,
    "tasklist": tasklist,
    "taskkill": taskkill,
    "shutdown": shutdown,
    "bugcheck": bugcheck,
}
