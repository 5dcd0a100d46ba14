"""How the simulated host refuses: an error with Hyper-V's identifier, category, HRESULT and words."""

from __future__ import annotations

SHARING_VIOLATION = 0x80070020
FILE_EXISTS = 0x80070050
DISK_FULL = 0x80070070
NOT_FOUND = 0x80070002
ACCESS_DENIED = 0x80070005
NOT_READY = 0x80070015
OUT_OF_MEMORY = 0x8007000E
PARENT_MISSING = 0xC03A0014
PARENT_CHANGED = 0xC03A000E
FILE_CORRUPT = 0xC03A0005
INVALID_STATE = 32775
"""The return value of Hyper-V's WMI methods for an operation that the current state does not allow."""


class HostFailure(Exception):
    """A refusal: what an error record on the wire is made from.

    `error_id` is the first part of the FullyQualifiedErrorId, `category` the name of an ErrorCategory. `hresult` is
    None where the real error carries none.
    """

    def __init__(
        self,
        message: str,
        *,
        error_id: str = "OperationFailed",
        category: str = "NotSpecified",
        hresult: int | None = None,
        target: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.error_id = error_id
        self.category = category
        self.hresult = hresult
        self.target = target


def operation_failed(message: str, hresult: int, target: str = "") -> HostFailure:
    """An operation of Hyper-V that failed with an HRESULT, which ends the message."""
    return HostFailure(f"{message} (0x{hresult:08X}).", hresult=hresult, target=target)


def not_found(message: str, target: str = "") -> HostFailure:
    """An object that does not exist."""
    return HostFailure(message, error_id="InvalidParameter", category="ObjectNotFound", target=target)


def unknown_machine(name: str) -> HostFailure:
    """No virtual machine has the name."""
    return not_found(f'Hyper-V was unable to find a virtual machine with name "{name}".', name)


def unknown_id(machine_id: str) -> HostFailure:
    """No virtual machine has the id."""
    return not_found(f'Hyper-V was unable to find a virtual machine with ID "{machine_id}".', machine_id)


def invalid_state(message: str, target: str = "") -> HostFailure:
    """An operation that the state of its object does not allow."""
    return HostFailure(message, error_id="InvalidState", category="InvalidOperation", target=target)


def state_conflict(operation: str, name: str, machine_id: str) -> HostFailure:
    """The answer 32775: a job is pending, or the machine is somewhere between two states."""
    return invalid_state(
        f"Failed to {operation} '{name}'. The operation cannot be performed while the object is in its current state "
        f"({INVALID_STATE}). (Virtual machine ID {machine_id.upper()})",
        name,
    )


def invalid_argument(message: str, target: str = "") -> HostFailure:
    """An argument that binds but that the cmdlet refuses."""
    return HostFailure(message, error_id="InvalidParameter", category="InvalidArgument", target=target)


def access_denied(target: str = "") -> HostFailure:
    """The caller is neither an administrator nor a Hyper-V administrator."""
    return HostFailure(
        "You do not have the required permission to complete this task. Contact the administrator of the authorization "
        "policy for the computer 'SIMHOST'.",
        error_id="AccessDenied",
        category="PermissionDenied",
        hresult=ACCESS_DENIED,
        target=target,
    )


def sharing_violation(path: str) -> HostFailure:
    """A file that somebody else holds open."""
    return HostFailure(
        f"The process cannot access the file '{path}' because it is being used by another process. (0x80070020).",
        error_id="ObjectInUse",
        category="ResourceBusy",
        hresult=SHARING_VIOLATION,
        target=path,
    )


def out_of_memory(name: str, machine_id: str) -> HostFailure:
    """The host has not enough memory to start a machine."""
    return HostFailure(
        f"'{name}' failed to start. Not enough memory in the system to start the virtual machine {name}. "
        f"(Virtual machine ID {machine_id.upper()}) (0x8007000E).",
        error_id="OutOfMemory",
        category="ResourceUnavailable",
        hresult=OUT_OF_MEMORY,
        target=name,
    )
