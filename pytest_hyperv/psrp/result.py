"""What a call brought back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pytest_hyperv.errors import CommandFailed
from pytest_hyperv.psrp.records import ErrorRecord, Information

_SHOWN_ERRORS = 5


@dataclass(frozen=True)
class PowerShellResult:
    """The streams of one call. ``duration`` is in seconds.

    ``failure`` is the error that ended the call, None when it ran to its end; it is the last of ``errors`` too.
    ``exit_code`` is the number given to ``exit``; without one 0, or 1 when the call was ended by an error or stopped.
    By way of a Hyper-V host, the code of the last program counts where there was no ``exit``.
    """

    output: list[Any] = field(default_factory=list)
    errors: list[ErrorRecord] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    verbose: list[str] = field(default_factory=list)
    debug: list[str] = field(default_factory=list)
    information: list[Information] = field(default_factory=list)
    exit_code: int = 0
    failure: ErrorRecord | None = None
    stopped: bool = False
    duration: float = 0.0
    title: str = "the call"

    @property
    def had_errors(self) -> bool:
        """True when an error was written or ended the call."""
        return bool(self.errors) or self.failure is not None

    @property
    def all(self) -> list[Any]:
        """Everything on the output stream."""
        return self.output

    @property
    def one(self) -> Any:
        """The only output. Raises CommandFailed when there is none, or more than one."""
        if len(self.output) != 1:
            raise CommandFailed(
                f"{self.title} gave {len(self.output)} objects where exactly one was expected{self._errors_shown()}",
                hint="Use .all for any number of objects.",
                result=self,
            )
        return self.output[0]

    def check(self) -> PowerShellResult:
        """This result.

        Raises CommandFailed when there was an error, an exit code other than 0, or the call was stopped.
        """
        if self.had_errors or self.exit_code or self.stopped:
            how = "was stopped" if self.stopped else f"ended with exit code {self.exit_code}"
            raise CommandFailed(f"{self.title} {how}{self._errors_shown()}", result=self)
        return self

    def _errors_shown(self) -> str:
        lines = [f"\n  {error}" for error in self.errors[:_SHOWN_ERRORS]]
        more = len(self.errors) - len(lines)
        return "".join(lines) + (f"\n  and {more} more" if more > 0 else "")
