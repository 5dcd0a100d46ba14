"""Runs that never were, as data of a page: of any size, with failures of all kinds and with hostile guests."""

from __future__ import annotations

import base64
import random
import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

PAYLOAD = "window.broken = (window.broken || 0) + 1"
HOSTILE = (
    f"</script><script>{PAYLOAD}</script>",
    f"<img src=x onerror='{PAYLOAD}'>",
    f"<!--<script>{PAYLOAD}",
    f"javascript:{PAYLOAD}",
    f"'\"><svg onload='{PAYLOAD}'> %%DATA%% \u2028 \u2029 \ud800 ]]>",
)
"""What guests say to be run by a browser."""
CONSOLE = "\n".join(
    [
        *(f"[{n / 7:12.6f}] systemd[1]: Started service {n}." for n in range(120)),
        "[   18.211043] sysrq: Trigger a crash",
        "[   18.212870] Kernel panic - not syncing: sysrq triggered crash",
        "[   18.213555] CPU: 0 PID: 512 Comm: sh Not tainted 6.1.0-31-amd64",
        *(f"[   18.{300000 + n}]  frame_{n}+0x{n:x}/0x140" for n in range(24)),
        "[   18.999999] ---[ end Kernel panic - not syncing: sysrq triggered crash ]---",
    ]
)


def picture(width: int = 640, height: int = 400) -> str:
    """A PNG file in base64: a console with a few bright lines."""
    rows = b"".join(
        b"\0"
        + bytes(0xC8 if y % 16 in (5, 6, 9) and 16 < x < 40 + (y * 37) % (width - 80) else 0x12 for x in range(width))
        for y in range(height)
    )

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return base64.b64encode(data).decode()


def exhibit(kind: str, name: str, **more: Any) -> dict[str, Any]:
    """One file of evidence."""
    return {"kind": kind, "name": name, "note": "", "link": f"artifacts/{name}", **more}


def story(machine: str, outcome: str, **more: Any) -> dict[str, Any]:
    """What evidence tells of one machine."""
    crash = "Kernel panic - not syncing: sysrq triggered crash" if outcome == "crash" else ""
    lines = CONSOLE if crash else CONSOLE.partition("[   18.211")[0].rstrip()
    marks = [number for number, line in enumerate(lines.split("\n")) if "Kernel panic" in line]
    transcript = "$ insmod /root/hello.ko\nreturned 0 after 0.04 s\n\n$ sh -c 'echo c > /proc/sysrq-trigger'\nno answer"
    return {
        "machine": machine,
        "backend": "qemu",
        "host": "local",
        "image": "debian-12",
        "state": "app_installed",
        "outcome": outcome,
        "crash": crash,
        "enter": f"pytest-hyperv shell {machine}",
        "text": "The guest died while the test ran." if crash else "",
        "exhibits": [
            exhibit("screenshot", f"{machine}/screen.png", picture=picture()),
            exhibit("console", f"{machine}/console.txt", text=lines, marks=marks),
            exhibit("transcript", f"{machine}/commands.txt", text=transcript),
            exhibit("file", f"{machine}/app.log", note="cut at 1 MiB"),
        ],
        **more,
    }


NAMES = (
    ("service", "the_service_greets"),
    ("installer", "files_are_there"),
    ("driver", "a_module_loads"),
    ("upgrade", "settings_are_kept"),
)
MISSING = ("nested: the processor shows no virtualization", "memory: 8 GiB needed, the host has 7.8 GiB")
FAILURES = (
    ("crash", "pytest_hyperv.errors.GuestCrashed: the guest died: Kernel panic - not syncing: sysrq triggered crash"),
    ("assertion", "AssertionError: assert 'hello, Ada' in 'hello, \\n'"),
    ("timeout", "pytest_hyperv.errors.CommandTimeout: `systemctl is-active app` took over 30 s"),
    ("infrastructure", "StateError: the recipe of state app_installed failed: CommandFailed: `dpkg -i` returned 1"),
    ("exception", "KeyError: 'version'"),
)
TEXT = """\
    def test_the_service_greets(hyperv_vm):
        hyperv_vm.run(["systemctl", "start", "greeter"]).check()
>       assert "hello, Ada" in hyperv_vm.run(["greet", "Ada"]).stdout
E       AssertionError: assert 'hello, Ada' in 'hello, \\n'
E        +  where 'hello, \\n' = <`greet Ada` returned 0 after 0.02 s>.stdout

test_service.py:31: AssertionError"""


def made_up(
    tests: int = 212, failed: int = 3, workers: int = 2, skipped: int = 6, title: str = "greeter"
) -> dict[str, Any]:
    """A run of that many tests; every 20th failure has the whole evidence, and the first five always have."""
    chance = random.Random(7)
    told, spans = [], []
    at = {f"gw{number}": 1.2 + chance.random() / 3 for number in range(workers)}
    bad = set(sorted(chance.sample(range(tests), tests))[:: max(tests // failed, 1)][:failed]) if failed else set()
    spans.append(["build", 1.3, 3.1, "gw0", "", "", "app_installed", ""])
    at["gw0"] = 4.5
    for number in range(tests):
        worker = min(at, key=lambda name: at[name])
        began, machine = at[worker], f"qemu-{number:04x}"
        module, name = NAMES[number % len(NAMES)]
        nodeid = f"tests/test_{module}.py::test_{name}[{number}]"
        if number % max(tests // max(skipped, 1), 1) == 5 and skipped:
            why = (
                "this host cannot: nested: the processor shows no virtualization"
                if number % 2
                else "this host cannot: memory: 8 GiB needed, the host has 7.8 GiB"
            )
            told.append(
                {
                    "id": nodeid,
                    "outcome": "skipped",
                    "why": why,
                    "worker": worker,
                    "phases": [["setup", began, 0.001], ["teardown", began, 0.001]],
                    "stories": [],
                }
            )
            continue
        lease, call = 0.05 + chance.random() * 0.3, 0.1 + chance.expovariate(1.6)
        test: dict[str, Any] = {
            "id": nodeid,
            "outcome": "passed",
            "worker": worker,
            "stories": [],
            "machines": [
                {
                    "name": machine,
                    "state": "app_installed" if number % 3 else "",
                    "image": "debian-12",
                    "backend": "qemu",
                }
            ],
            "phases": [
                ["setup", began, lease + 0.01],
                ["call", began + lease + 0.01, call],
                ["teardown", began + lease + call + 0.01, 0.02],
            ],
        }
        if number in bad:
            index = sorted(bad).index(number)
            kind, why = FAILURES[index % len(FAILURES)]
            rich = index < 5 or index % 20 == 0
            test |= {
                "outcome": "error" if kind == "infrastructure" else "failed",
                "kind": kind,
                "why": why,
                "text": TEXT,
            }
            test["stories"] = [story(machine, kind)] if rich else []
        spans.append(["lease", began, lease, worker, "", machine, "app_installed", nodeid])
        spans.append(
            [
                "clone" if number % 5 == 0 else "reset",
                began + 0.01,
                lease - 0.02,
                worker,
                "",
                machine,
                "app_installed",
                nodeid,
            ]
        )
        spans.append(
            ["clone", began + lease + 0.02, 0.2, worker, "pool_0", f"{machine}-spare", "app_installed", "spare"]
        )
        spans.append(["warm", began + lease + 0.22, 0.15, worker, "pool_0", f"{machine}-spare", "", ""])
        spans.append(["discard", began + lease + 0.02, 0.08, worker, "pool_1", machine, "", ""])
        at[worker] = began + lease + call + 0.05
        told.append(test)
    took = max(at.values()) + 0.4
    return {
        "title": title,
        "began": 1_790_000_000.0,
        "took": took,
        "interrupted": False,
        "where": ["qemu (QEMU 7.2, emulated, local)"],
        "failures": [],
        "notes": [],
        "versions": {"pytest-hyperv": "0.2.0", "pytest": "9.0.1", "Python": "3.12.4"},
        "dropped": 0,
        "tests": told,
        "spans": spans,
        "accounts": {name: {kind: took * part for kind, part in spent.items()} for name, spent in _spent(at)},
        "states": [
            _state("a", "debian-12", took=31.4, size=412 << 20, clones=tests // 3, cloning=tests / 3 * 0.2),
            _state("b", "app_installed", parent="a", took=3.1, size=96 << 20, built=1, clones=tests, cloning=tests / 5),
        ],
        "saved": tests * 31.0,
    }


def _spent(workers: Iterable[str]) -> Iterator[tuple[str, dict[str, float]]]:
    for worker in workers:
        main = {"start": 0.01, "test": 0.55, "reset": 0.12, "clone": 0.05, "wait": 0.06, "fixtures": 0.08, "idle": 0.1}
        yield worker, main | {"build": 0.03}
        yield f"{worker}/meanwhile", {"clone": 0.2, "warm": 0.15, "discard": 0.08}


def _state(key: str, name: str, parent: str = "", **more: float) -> dict[str, Any]:
    recipe = f"tests/test_service.py::{name}" if parent else ""
    where = {"image": "debian-12", "machine": "512 MiB, 1 CPU", "backend": "qemu", "host": "local", "built": 0}
    return where | {"key": key, "name": name, "recipe": recipe, "parent": parent, "whole": 34.5, **more}


def hostile() -> dict[str, Any]:
    """A run in which every text that comes from a test or a guest is made to break out of the page."""
    run = made_up(12, failed=5)
    for number, test in enumerate(run["tests"]):
        said = HOSTILE[number % len(HOSTILE)]
        test |= {"id": f"test_x.py::test_{number}[{said}]", "why": said, "text": said, "said": [[said, said]]}
        for machine in test.get("machines", ()):
            machine |= {"name": said, "state": said, "image": said}
        for each in test["stories"]:
            each |= {"machine": said, "text": said, "crash": said, "enter": said}
            for one in each["exhibits"]:
                one |= {
                    "kind": said if one["kind"] == "file" else one["kind"],
                    "name": said,
                    "note": said,
                    "link": said,
                }
                one |= {"text": "\n".join([said, *HOSTILE]), "marks": [0]} if "text" in one else {}
                one |= {"picture": said} if "picture" in one else {}
    for span in run["spans"]:
        span[5:] = [HOSTILE[0], HOSTILE[1], HOSTILE[2]]
    for state in run["states"]:
        state |= {"name": HOSTILE[1], "recipe": HOSTILE[0], "machine": HOSTILE[1]}
    return run | {"title": HOSTILE[0], "where": list(HOSTILE), "failures": list(HOSTILE), "notes": list(HOSTILE)}
