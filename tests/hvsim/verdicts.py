"""Compare the binder with recorded verdicts: ``python -m tests.hvsim.verdicts FILE [--version 2025] [--all]``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args
from uuid import UUID

from tests.hvsim.binder import NOTHING, BindingError, NetObject, Version, bind
from tests.hvsim.contract import CommandContract, Contract, ServerVersion
from tests.hvsim.conversion import full_name

SHOWN = 10


@dataclass(frozen=True)
class Verdict:
    """What a binder made of a call: a set and values, or an error id, how it came, and its message."""

    set: str | None
    bound: tuple[tuple[str, str], ...]
    error: str | None
    how: str | None
    message: str | None

    @property
    def essence(self) -> tuple[object, ...]:
        """All but the message."""
        return self.set, self.bound, self.error, self.how

    def __str__(self) -> str:
        if self.error:
            return f"{self.error} ({self.how}): {self.message}"
        return f"{self.set} {dict(self.bound)}"


@dataclass(frozen=True)
class Comparison:
    """One recorded case beside the binder's own verdict."""

    case: Mapping[str, Any]
    recorded: Verdict
    ours: Verdict

    @property
    def agrees(self) -> bool:
        """Whether set and values, or error id and how it came, are the same."""
        return self.recorded.essence == self.ours.essence

    @property
    def same_message(self) -> bool:
        """Whether both are errors in the same words."""
        return self.recorded.error is not None and self.recorded.message == self.ours.message

    def __str__(self) -> str:
        call = f"{self.case['cmdlet']} {json.dumps(self.case['args'], ensure_ascii=False)}"
        piped = f" <- {json.dumps(self.case['input'])}" if "input" in self.case else ""
        return f"{self.case['kind']}: {call}{piped}\n  recorded {self.recorded}\n  ours     {self.ours}"


def value_of(recorded: object) -> object:
    """The value that the recording's JSON stands for."""
    if isinstance(recorded, list):
        return [value_of(part) for part in recorded]
    if not isinstance(recorded, dict):
        return recorded
    ((kind, content),) = recorded.items()
    match kind:
        case "guid":
            return UUID(content)
        case "i64" | "u64":
            return int(content)
        case "bytes":
            return bytes.fromhex(content)
        case "ts":
            return timedelta(seconds=content)
        case "float":
            return float(content)
        case "version":
            return Version(tuple(int(part) for part in content.split(".")))
        case "map":
            return {key: value_of(value) for key, value in content.items()}
        case "object":
            return NetObject(("System.Management.Automation.PSCustomObject", "System.Object"), text="")
    raise ValueError(f"the verdicts' notation has no value of kind {kind!r}")


def input_of(case: Mapping[str, Any]) -> object:
    """The object that a case pipes in, or `NOTHING`."""
    if "input" not in case:
        return NOTHING
    recorded = case["input"]
    if "type" in recorded:
        return NetObject((full_name(recorded["type"]), "System.Object"))
    return value_of(recorded["value"])


def recorded_verdict(case: Mapping[str, Any]) -> Verdict:
    """The verdict that a case was recorded with."""
    verdict = case["verdict"]
    bound = tuple(sorted(verdict.get("bound", {}).items()))
    return Verdict(verdict.get("set"), bound, verdict.get("error"), verdict.get("how"), verdict.get("message"))


def our_verdict(command: CommandContract, case: Mapping[str, Any]) -> Verdict:
    """The binder's verdict on a case."""
    arguments = [(name, value_of(value)) for name, value in case["args"]]
    try:
        bound = bind(command, arguments, piped=input_of(case))
    except BindingError as error:
        return Verdict(None, (), f"{error.error_id},{command.class_name}", error.how, error.message)
    return Verdict(bound.set, tuple(sorted(bound.described().items())), None, None, None)


def compare(cases: Sequence[Mapping[str, Any]], version: ServerVersion = "2025") -> Iterator[Comparison]:
    """Each case beside the binder's verdict, with the common parameters of the engine that recorded it."""
    contract = Contract.load(version, engine="7.6")
    for case in cases:
        command = contract.command(case["cmdlet"])
        if command is None:
            raise LookupError(f"the contract of {version} has no {case['cmdlet']}")
        yield Comparison(case, recorded_verdict(case), our_verdict(command, case))


def read_cases(path: Path) -> list[dict[str, Any]]:
    """The cases of a file of verdicts."""
    cases: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["cases"]
    return cases


def main(arguments: Sequence[str]) -> int:
    """Print how many cases agree and the first that do not; 1 if any does not."""
    parser = argparse.ArgumentParser(prog="python -m tests.hvsim.verdicts", description=main.__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--version", choices=get_args(ServerVersion), default="2025")
    parser.add_argument("--all", action="store_true", help=f"show every disagreement, not the first {SHOWN}")
    options = parser.parse_args(arguments)
    comparisons = list(compare(read_cases(options.file), options.version))
    wrong = [comparison for comparison in comparisons if not comparison.agrees]
    errors = [comparison for comparison in comparisons if comparison.recorded.error is not None]
    print(f"agree {len(comparisons) - len(wrong)} of {len(comparisons)}")
    print(f"messages equal: {sum(comparison.same_message for comparison in errors)} of {len(errors)}")
    for comparison in wrong if options.all else wrong[:SHOWN]:
        print(comparison)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
