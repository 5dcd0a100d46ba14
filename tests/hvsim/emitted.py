"""Binds the calls that hosts were given against every version: ``python -m tests.hvsim.emitted FOLDER...``.

Each process of a host writes down the calls it bound (`tests.hvsim.engine.emission`). A folder is a host's, or one that
has hosts below it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from tests.hvsim.binder import BindingError, Call
from tests.hvsim.contract import Contract, ServerVersion
from tests.hvsim.engine.emission import EMITTED, decoded
from tests.hvsim.engine.general.providers import on_files
from tests.hvsim.engine.general.undocumented import UNDOCUMENTED

VERSIONS: tuple[ServerVersion, ...] = get_args(ServerVersion)
NEWER: dict[str, ServerVersion] = {"Get-VMHostPartitionableGpu": "2022"}
"""Commands that the backend sends to hosts from this version on alone."""


@dataclass(frozen=True)
class Emitted:
    """One call as it was written down."""

    module: str
    command: str
    set: str
    parameters: tuple[str, ...]
    arguments: tuple[tuple[str | None, Any], ...]
    piped: tuple[Any, ...]

    @property
    def combination(self) -> tuple[str, str, tuple[str, ...]]:
        """What makes it distinct."""
        return self.command, self.set, self.parameters

    def __str__(self) -> str:
        return f"{self.command} [{self.set}] {' '.join(f'-{name}' for name in self.parameters)}"


def read(folders: Sequence[Path]) -> Iterator[Emitted]:
    """The calls of all hosts in the folders. Raises FileNotFoundError when no host wrote any down."""
    files = sorted(file for folder in folders for file in folder.rglob(EMITTED))
    if not files:
        raise FileNotFoundError(f"no {EMITTED} in {', '.join(map(str, folders))}")
    for file in files:
        for line in file.read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            yield Emitted(
                entry["module"],
                entry["command"],
                entry["set"],
                tuple(entry["parameters"]),
                tuple((name, value) for name, value in entry["arguments"]),
                tuple(entry["piped"]),
            )


def refusal(call: Emitted, version: ServerVersion) -> str:
    """Why the call does not bind as it did against the contract of `version`; "" when it does."""
    if call.command.casefold() in UNDOCUMENTED or version < NEWER.get(call.command, version):
        return ""
    contract = Contract.load(version).command(f"{call.module}\\{call.command}")
    if contract is None:
        return "there is no such command"
    arguments = [(name, decoded(value)) for name, value in call.arguments]
    try:
        bound = Call(on_files(contract), arguments, expects_input=bool(call.piped))
        result = bound.take(decoded(call.piped[0])) if call.piped else bound.bound
    except BindingError as failure:
        return f"{failure.error_id}: {failure.message}"
    return "" if result.set == call.set else f"the set is {result.set}"


def main(arguments: list[str]) -> int:
    """Print how many combinations there are, and those that do not bind; 1 when there are any."""
    calls = list(read([Path(argument) for argument in arguments]))
    refused = {
        f"{call} against {version}: {why}" for call in calls for version in VERSIONS if (why := refusal(call, version))
    }
    count = len({call.combination for call in calls})
    if refused:
        sys.stdout.write(
            f"{count} combinations, {len(refused)} do not bind:\n" + "".join(f"{x}\n" for x in sorted(refused))
        )
        return 1
    sys.stdout.write(f"{count} combinations, all bind against {', '.join(VERSIONS)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
