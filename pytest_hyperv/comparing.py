"""What a failed comparison says of a result of the guest."""

from __future__ import annotations

from pytest_hyperv.guest import CommandResult


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


def _side(value: object) -> str:
    return "the result" if isinstance(value, CommandResult) else repr(value)
