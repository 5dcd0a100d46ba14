"""What a failed comparison says of a command of the guest."""

from __future__ import annotations

from pytest_hyperv.guest import READ_LAST, CommandResult

LONGEST = 1024 * 1024
"""Bytes of output that are compared to find where a text comes from."""


def explained(op: str, left: object, right: object) -> list[str] | None:
    """The lines of a failed ``left op right`` of which one side is a CommandResult; None for anything else."""
    results = [side for side in (left, right) if isinstance(side, CommandResult)]
    if not results:
        return None
    lines = [f"{_side(left)} {op} {_side(right)}"]
    if any(isinstance(side, int) for side in (left, right)):
        lines.append("a CommandResult is no number: compare its .returncode, or assert the result itself")
    elif any(isinstance(side, str | bytes) for side in (left, right)):
        lines.append("a CommandResult is no text: compare its .stdout or .stderr")
    for result in results:
        lines += result.explain().splitlines()
    return lines


def origins(left: object, right: object) -> list[str]:
    """One line for each side that is the output, as it is or stripped, of a command whose output was read last."""
    lines = []
    for side in (left, right):
        results = [result for result in (each() for each in READ_LAST) if result is not None]
        found = next((result for result in reversed(results) if isinstance(side, str) and _wrote(result, side)), None)
        if found is not None:
            lines.append(f"of {found!r}")
    return list(dict.fromkeys(lines))


def _wrote(result: CommandResult, text: str) -> bool:
    streams = (data for data in (result.stdout_bytes, result.stderr_bytes) if len(data) <= LONGEST)
    said = [data.decode("utf-8", "replace") for data in streams]
    return text in said or text in [each.strip() for each in said]


def _side(value: object) -> str:
    return "the result" if isinstance(value, CommandResult) else repr(value)
