"""Binds the arguments of a call to the parameters of a cmdlet, as PowerShell does.

`bind` takes one call; `Bound` is what the cmdlet would see, `BindingError` what the caller would see.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tests.hvsim.contract import CommandContract
from tests.hvsim.values import NOTHING, NetObject

__all__ = ["NOTHING", "BindingError", "Bound", "NetObject", "bind"]


@dataclass(frozen=True)
class Bound:
    """A call that binds: the parameter set chosen, and the converted values under the parameters' own names."""

    set: str
    values: dict[str, object]


class BindingError(Exception):
    """A call that does not bind.

    `error_id` is the FullyQualifiedErrorId without the command (``AmbiguousParameterSet``); `how` says whether the
    pipeline ends as ``failed`` or an ``error`` record comes for the object piped in; `parameter` is the one in question.
    """

    def __init__(
        self, error_id: str, message: str, *, how: Literal["failed", "error"] = "failed", parameter: str | None = None
    ) -> None:
        super().__init__(message)
        self.error_id = error_id
        self.message = message
        self.how = how
        self.parameter = parameter


def bind(command: CommandContract, arguments: Sequence[tuple[str | None, object]], *, piped: object = NOTHING) -> Bound:
    """Bind `arguments`, pairs of parameter name (None: by position) and value, and the object `piped` in, if any.

    Raises `BindingError` where PowerShell refuses the call.
    """
    values: dict[str, object] = {}
    for name, value in arguments:
        known = {parameter.lower(): parameter for parameter in command.parameters}
        for parameter in command.parameters.values():
            known.update({alias.lower(): parameter.name for alias in parameter.aliases})
        if name is None or name.lower() not in known:
            raise BindingError(
                "NamedParameterNotFound", f"A parameter cannot be found that matches parameter name '{name}'."
            )
        values[known[name.lower()]] = value
    if piped is not NOTHING:
        by_value = [p.name for p in command.parameters.values() if p.by_value and p.name not in values]
        values[by_value[0]] = piped
    return Bound(command.default_set, values)
