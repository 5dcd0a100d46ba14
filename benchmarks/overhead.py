"""What the plugin costs a run that needs no machine: ``python benchmarks/overhead.py [--rounds N] [--folder DIR]``.

Three virtual environments are made of this interpreter and this pytest: ``bare`` has pytest alone, ``needs`` has what
the plugin depends on too, and ``plugin`` has the plugin itself, built and installed as users have it (an editable
install, or ``-p no:hyperv``, would leave out what pytest does with the files of installed plugins). In each round
every environment runs the same command once, in random order, ``bare`` twice, so that one row shows what the
difference between two equal environments looks like on this machine. All byte code is compiled before the first round.

A ratio is that of the medians of all rounds; its interval holds 95 % of the ratios of rounds drawn again (bootstrap).
Processor time is that of pytest's process; on a machine that does other work it is the steadier one, and its lower
quartile, from the rounds that were disturbed least, steadier still. ``--instructions`` has valgrind count what the
processor executes instead, once for each environment: hundred times slower, and the same on a busy machine.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
TARGET = 1.03
RESAMPLES = 2000
TESTS = 1000
MODULES = 20
COMMANDS = {"pytest --help": ["--help"], f"{TESTS} unrelated tests": ["-q", "-p", "no:cacheprovider"]}
ROWS = (("plugin", "needs"), ("plugin", "bare"), ("bare again", "bare"))
"""What is compared with what."""
JUDGED = ("plugin", "needs", "processor, median")
"""The comparison that the exit status tells of."""


@dataclass(frozen=True)
class Cost:
    """Seconds of one run: on the wall, and of processors."""

    wall: float
    processor: float


def environments(folder: Path) -> dict[str, Path]:
    """The interpreter of each environment; those that an earlier run left in ``folder`` are used again."""
    pytest = f"pytest=={importlib.metadata.version('pytest')}"
    plugin = environment(folder / "plugin", [pytest, str(ROOT)])
    freeze: list[str | Path] = [plugin, "-m", "pip", "freeze", "--exclude", "pytest-hyperv"]
    needed = subprocess.run(freeze, check=True, capture_output=True, text=True).stdout.split()
    bare = environment(folder / "bare", [pytest])
    return {"plugin": plugin, "needs": environment(folder / "needs", needed), "bare": bare, "bare again": bare}


def environment(folder: Path, packages: Sequence[str]) -> Path:
    """The interpreter of a virtual environment with these packages."""
    python = folder / "bin" / "python"
    if not python.exists():
        print(f"making the environment {folder.name!r} ...", flush=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([python, *pip, *packages], check=True, stderr=subprocess.DEVNULL)
    return python


def suite(folder: Path) -> None:
    """A thousand tests that have nothing to do with machines."""
    (folder / "pytest.ini").write_text("[pytest]\n")
    for module in range(MODULES):
        tests = (f"def test_{number}():\n    assert {number} + 1\n" for number in range(TESTS // MODULES))
        (folder / f"test_{module}.py").write_text("\n\n".join(tests))


def run(python: Path, options: Sequence[str], folder: Path) -> Cost:
    """One run of pytest, which must pass."""
    kept = ("HOME", "LANG", "LC_ALL", "PATH", "TMPDIR")
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    began = time.perf_counter()
    process = subprocess.Popen(
        [python, "-m", "pytest", *options], cwd=folder, env=environment, stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{python} -m pytest {' '.join(options)} returned {process.returncode}")
    return Cost(wall, usage.ru_utime + usage.ru_stime)


def rounds_of(
    interpreters: dict[str, Path], options: Sequence[str], folder: Path, rounds: int, chance: random.Random
) -> list[dict[str, Cost]]:
    """What each environment needed, round by round."""
    for python in interpreters.values():
        run(python, options, folder)
    measured = []
    for _ in range(rounds):
        names = list(interpreters)
        chance.shuffle(names)
        measured.append({name: run(interpreters[name], options, folder) for name in names})
    return measured


def quartile(values: Iterable[float]) -> float:
    """The value that a quarter of them do not reach."""
    return statistics.quantiles(values, n=4)[0]


MEASURES = (
    ("wall, median", "wall", statistics.median),
    ("processor, median", "processor", statistics.median),
    ("processor, lower quartile", "processor", quartile),
)


def ratio(pairs: Sequence[tuple[float, float]], middle: Callable[[Iterable[float]], float]) -> float:
    """The middle of the first ones over that of the second ones."""
    return middle([pair[0] for pair in pairs]) / middle([pair[1] for pair in pairs])


def interval(
    pairs: Sequence[tuple[float, float]], middle: Callable[[Iterable[float]], float], chance: random.Random
) -> tuple[float, float]:
    """Where 95 % of the ratios of rounds drawn again lie."""
    drawn = sorted(ratio(chance.choices(pairs, k=len(pairs)), middle) for _ in range(RESAMPLES))
    return drawn[int(RESAMPLES * 0.025)], drawn[int(RESAMPLES * 0.975)]


def report(command: str, measured: Sequence[dict[str, Cost]], chance: random.Random) -> bool:
    """Print the table of one command; returns whether the target is met where it is judged."""
    print(f"\n{command} ({len(measured)} rounds)")
    print(f"{'':12} {'wall ms':>10} {'processor ms':>14}")
    for name in ("bare", "needs", "plugin"):
        wall = statistics.median(costs[name].wall for costs in measured) * 1000
        processor = statistics.median(costs[name].processor for costs in measured) * 1000
        print(f"{name:12} {wall:10.1f} {processor:14.1f}")
    met = True
    for what, against in ROWS:
        for name, measure, middle in MEASURES:
            pairs = [(getattr(costs[what], measure), getattr(costs[against], measure)) for costs in measured]
            found, (low, high) = ratio(pairs, middle), interval(pairs, middle, chance)
            verdict = "" if what != "plugin" else f"  target {TARGET:.2f}: {'met' if found <= TARGET else 'MISSED'}"
            print(f"{what} / {against}, {name:25} {found:.4f}  [{low:.4f}, {high:.4f}]{verdict}")
            met = met and (found <= TARGET or (what, against, name) != JUDGED)
    return met


def instructions(python: Path, options: Sequence[str], folder: Path) -> int:
    """How many instructions one run of pytest executes, with the same hash seed every time."""
    run(python, options, folder)
    counted: list[str | Path] = [
        "valgrind",
        "--tool=callgrind",
        "--callgrind-out-file=/dev/null",
        python,
        "-m",
        "pytest",
        *options,
    ]
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "PYTHONHASHSEED": "0"}
    done = subprocess.run(counted, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    (line,) = [line for line in done.stderr.splitlines() if "Collected :" in line]
    return int(line.split()[-1])


def report_instructions(command: str, counts: dict[str, int]) -> bool:
    """Print what each environment executes; returns whether the target is met where it is judged."""
    print(f"\n{command}: " + ", ".join(f"{name} {count / 1e6:.1f} million" for name, count in counts.items()))
    for what, against in ROWS:
        print(f"{what} / {against}, instructions: {counts[what] / counts[against]:.4f}")
    return counts[JUDGED[0]] <= TARGET * counts[JUDGED[1]]


def main() -> int:
    """Measure and print; the exit status is 1 when a target is missed."""
    parser = argparse.ArgumentParser(description="What the plugin costs a run without machines.")
    parser.add_argument("--rounds", type=int, default=40, help="rounds of each command")
    parser.add_argument("--only", choices=COMMANDS, help="measure this command alone")
    parser.add_argument("--instructions", action="store_true", help="count instructions with valgrind, once")
    parser.add_argument("--folder", type=Path, help="keep the environments here, and use those that are there")
    given = parser.parse_args()
    chance = random.Random(0)
    with tempfile.TemporaryDirectory() as scratch:
        tests = Path(scratch) / "tests"
        tests.mkdir()
        suite(tests)
        folder = given.folder or Path(scratch) / "environments"
        folder.mkdir(parents=True, exist_ok=True)
        interpreters = environments(folder.absolute())
        met = []
        for command, options in COMMANDS.items():
            if given.only not in (None, command):
                continue
            if given.instructions:
                counts = {name: instructions(python, options, tests) for name, python in interpreters.items()}
                met.append(report_instructions(command, counts))
            else:
                measured = rounds_of(interpreters, options, tests, given.rounds, chance)
                met.append(report(command, measured, chance))
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
