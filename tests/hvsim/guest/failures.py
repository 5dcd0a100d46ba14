"""Errors of remoting and of .NET as PowerShell reports them: identifier, category and exception class complete."""

from __future__ import annotations

from tests.hvsim.host.failures import HostFailure

REMOTING = "System.Management.Automation.Remoting."
NEW_SESSION = "Microsoft.PowerShell.Commands.NewPSSessionCommand"
INVOKE = "Microsoft.PowerShell.Commands.InvokeCommandCommand"
SOCKET_ENDED = (
    "The background process reported an error with the following message: "
    '"The Hyper-V socket target process has ended.".'
)
"""What a host says of a socket whose other end is gone (seen in the field: 2100,PSSessionStateBroken)."""


class RemotingFailure(HostFailure):
    """A refusal whose `error_id` is the whole FullyQualifiedErrorId; `exception_type` is the .NET class."""

    def __init__(self, message: str, error_id: str, category: str, exception_type: str, target: str = "") -> None:
        super().__init__(message, error_id=error_id, category=category, target=target)
        self.exception_type = exception_type


def dotnet_failure(method: str, arguments: int, exception_type: str, message: str) -> RemotingFailure:
    """An exception of a .NET method: PowerShell wraps it, and takes its class for the identifier."""
    return RemotingFailure(
        f'Exception calling "{method}" with "{arguments}" argument(s): "{message}"',
        exception_type.rpartition(".")[2],
        "NotSpecified",
        "System.Management.Automation.MethodInvocationException",
    )


def not_running(name: str) -> RemotingFailure:
    """New-PSSession wants a machine to be exactly Running (PowerShell's newrunspacecommand.cs)."""
    return RemotingFailure(
        f"The virtual machine {name} is not in running state.",
        f"InvalidVMState,{NEW_SESSION}",
        "InvalidArgument",
        "System.ArgumentException",
    )


def no_single_machine(machine: str) -> RemotingFailure:
    """No machine has the id, or the caller may see none."""
    return RemotingFailure(
        f"The input VMId {machine} does not resolve to a single virtual machine.",
        f"InvalidVMIdNotSingle,{NEW_SESSION}",
        "InvalidArgument",
        "System.ArgumentException",
    )


def bad_credential() -> RemotingFailure:
    """The guest refused the account or its password: the inner PSDirectException is reported, not its wrapper."""
    return RemotingFailure(
        "The credential is invalid.",
        f"PSSessionOpenFailed,{NEW_SESSION}",
        "OpenError",
        f"{REMOTING}PSDirectException",
        "System.Management.Automation.RemoteRunspace",
    )


def refusals() -> tuple[RemotingFailure, ...]:
    """What a guest that boots makes New-PSSession say: no connection, a connection that ends, and the general words.

    The last are what a host that cannot connect says in the field; the first two are the reasons behind it.
    """
    structure = f"{REMOTING}PSRemotingDataStructureException"
    target = "System.Management.Automation.RemoteRunspace"
    connect = "A failure occurred while attempting to connect to the target virtual machine."
    general = "An error has occurred which Windows PowerShell cannot handle. A remote session might have ended."
    transport = f"{REMOTING}PSRemotingTransportException"
    return (
        RemotingFailure(connect, "PSSessionOpenFailed", "OpenError", structure, target),
        RemotingFailure(SOCKET_ENDED, "2100,PSSessionOpenFailed", "OpenError", transport, target),
        RemotingFailure(general, "PSSessionOpenFailed", "OpenError", structure, target),
    )


def no_session() -> RemotingFailure:
    """Invoke-Command with -Session $null."""
    return RemotingFailure(
        "Cannot validate argument on parameter 'Session'. The argument is null or empty. Provide an argument that is "
        "not null or empty, and then try the command again.",
        f"ParameterArgumentValidationError,{INVOKE}",
        "InvalidData",
        "System.Management.Automation.ParameterBindingValidationException",
    )


def session_not_open(state: str, name: str) -> RemotingFailure:
    """A call over a session that is known to have ended: nothing was sent."""
    return RemotingFailure(
        f"Because the session state for session {name} is not equal to Open, you cannot run a command in the session. "
        f"The session state is {state}.",
        f"InvokeCommandCommandInvalidSessionState,{INVOKE}",
        "InvalidOperation",
        "System.Management.Automation.PSInvalidOperationException",
    )


def session_lost(*, running: bool) -> RemotingFailure:
    """The guest went away: found out by a call that begins (JobFailure), or one that runs."""
    return RemotingFailure(
        SOCKET_ENDED,
        "2100,PSSessionStateBroken" if running else "JobFailure",
        "OpenError",
        f"{REMOTING}PSRemotingTransportException",
    )
