"""What a host says of a machine, read from its enums; and waiting until it says what one hopes for."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

import tenacity

from pytest_hyperv.backends.hyperv import cmdlets
from pytest_hyperv.backends.hyperv.host import HypervHost
from pytest_hyperv.errors import BootTimeout, CmdletError, HypervError, MachineError, MachineStateError
from pytest_hyperv.psrp.dotnet import EnumValue

Result = TypeVar("Result")

STATES = {
    2: "Running",
    3: "Off",
    4: "Stopping",
    6: "Saved",
    9: "Paused",
    10: "Starting",
    11: "Reset",
    32773: "Saving",
    32776: "Pausing",
    32777: "Resuming",
}
"""Numbers of VMState, for a host whose answer carries a number alone."""
OFF = frozenset({"Off", "OffCritical"})
"""States without memory; a machine whose disks cannot be reached counts as off when it is deleted (Packer)."""
AT_REST = frozenset({"Off", "OffCritical", "Saved", "SavedCritical", "FastSaved", "FastSavedCritical"})
BUSY = frozenset(
    {"CreatingSnapshot", "ApplyingSnapshot", "DeletingSnapshot", "MergingDisks", "ExportingVirtualMachine", "InService"}
)
"""Operational statuses during which disks must be left alone."""
POLL_FIRST, POLL_LAST = 0.05, 1.0
"""Seconds between looks: short at first, since much is over at once, then longer."""


@dataclass(frozen=True)
class Seen:
    """One look at a machine: names of VMState, VMOperationalStatus and VMHeartbeatStatus, which are not localised."""

    id: UUID
    name: str
    path: str
    notes: str
    state: str
    statuses: tuple[str, ...]
    heartbeat: str

    @classmethod
    def of(cls, told: Any) -> Seen:
        """From an object that was projected to ``cmdlets.SEEN``."""
        statuses = told.OperationalStatus if isinstance(told.OperationalStatus, list) else [told.OperationalStatus]
        return cls(
            id=UUID(str(told.Id)),
            name=str(told.Name),
            path=str(told.Path or ""),
            notes=str(told.Notes or ""),
            state=_word(told.State, STATES),
            statuses=tuple(_word(status) for status in statuses if status is not None),
            heartbeat=_word(told.Heartbeat),
        )

    @property
    def critical(self) -> bool:
        """Whether Hyper-V itself has given the machine up: storage lost, disk full."""
        return self.state.endswith("Critical")

    @property
    def busy(self) -> bool:
        """Whether disks are being worked on."""
        return bool(BUSY & set(self.statuses))

    @property
    def beating(self) -> bool:
        """Whether the guest's heartbeat service answers."""
        return self.heartbeat.startswith("Ok")

    def __str__(self) -> str:
        words = [self.state, *(status for status in self.statuses if status != "Ok")]
        return ", ".join([*words, f"heartbeat {self.heartbeat}"] if self.state == "Running" else words)


def look(host: HypervHost, ident: UUID) -> Seen:
    """What the host says of the machine now. Raises CmdletError when there is none of that GUID."""
    return Seen.of(host.ask(cmdlets.seen(ident)).one)


def find(host: HypervHost, ident: UUID) -> Seen | None:
    """The machine, or None when Hyper-V, which answers, has none of that GUID."""
    try:
        return look(host, ident)
    except CmdletError as error:
        if error.category == "ObjectNotFound" or error.error_id.startswith("InvalidParameter"):
            return None
        raise


def await_state(
    host: HypervHost,
    ident: UUID,
    wanted: Callable[[Seen], bool],
    *,
    what: str,
    timeout: float,
    error: type[MachineError] = MachineStateError,
) -> Seen:
    """Look until ``wanted``; fails at once when the machine is in a critical state.

    Raises ``error`` after ``timeout`` seconds, saying what was last seen.
    """

    def once() -> Seen:
        seen = look(host, ident)
        if not wanted(seen):
            fail_if_critical(seen)
        return seen

    return wait_until(once, wanted, told=lambda seen: f"{seen.name} {what}: it is {seen}", timeout=timeout, error=error)


def wait_until(
    once: Callable[[], Result],
    wanted: Callable[[Result], bool],
    *,
    told: Callable[[Result], str],
    timeout: float,
    error: type[HypervError] = BootTimeout,
) -> Result:
    """The first result of ``once`` that is ``wanted``; ``told`` says what was last seen when ``timeout`` is over."""
    began = time.monotonic()
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_result(lambda result: not wanted(result)),
        stop=tenacity.stop_after_delay(timeout),
        wait=tenacity.wait_exponential(multiplier=POLL_FIRST, max=POLL_LAST),
    )
    try:
        return retrying(once)
    except tenacity.RetryError as late:
        last = told(late.last_attempt.result())
        raise error(
            f"{last} after {time.monotonic() - began:.0f} s", hint="give it more time, or look at the host's load."
        ) from None


def fail_if_critical(seen: Seen) -> None:
    """Raise MachineError for a machine that will not come back by itself."""
    if seen.critical:
        raise critical(seen)


def critical(seen: Seen) -> MachineError:
    """What to say of a machine that Hyper-V has given up."""
    return MachineError(
        f"{seen.name} is in the state {seen.state}",
        hint="its storage cannot be reached or is full: see the host's disks, then pytest-hyperv gc.",
        machine=seen.name,
    )


def _word(value: object, numbers: dict[int, str] | None = None) -> str:
    """The name of an enum's value, also from hosts that hand out plain text or a plain number."""
    if isinstance(value, EnumValue):
        return value.name
    if isinstance(value, int) and numbers:
        return numbers.get(value, str(value))
    return "" if value is None else str(value)
