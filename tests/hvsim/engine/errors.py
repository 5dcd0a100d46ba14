"""Failures of the binder, of the host and of the engine itself as errors of PowerShell."""

from __future__ import annotations

import sys
import traceback

from tests.hvsim.binder import BindingError
from tests.hvsim.contract import CommandContract
from tests.hvsim.host.failures import HostFailure
from tests.hvsim.values import NetObject
from tests.psrp.peer.records import RUNTIME_EXCEPTION, ShellError

VIRTUALIZATION_EXCEPTION = "Microsoft.HyperV.PowerShell.VirtualizationException"
BINDING_EXCEPTION = "System.Management.Automation.ParameterBindingException"
_EXCEPTIONS = {
    "ObjectNotFound": "System.Management.Automation.ItemNotFoundException",
    "PermissionDenied": "System.UnauthorizedAccessException",
    "ResourceBusy": "System.IO.IOException",
    "WriteError": "System.IO.IOException",
}


def of_host(failure: HostFailure, command: CommandContract) -> ShellError:
    """A refusal of the host, as the cmdlet that met it reports it."""
    in_hyper_v = command.module == "Hyper-V"
    return ShellError(
        failure.message,
        f"{failure.error_id},{command.class_name}",
        failure.category,
        target=failure.target,
        activity=command.name,
        exception_type=VIRTUALIZATION_EXCEPTION if in_hyper_v else _EXCEPTIONS.get(failure.category, RUNTIME_EXCEPTION),
    )


def of_script(failure: HostFailure) -> ShellError:
    """A refusal of the host inside a script."""
    return ShellError(
        failure.message,
        failure.error_id,
        failure.category,
        target=failure.target,
        exception_type=getattr(failure, "exception_type", RUNTIME_EXCEPTION),
    )


def of_binding(failure: BindingError, command: CommandContract) -> ShellError:
    """A call that does not bind."""
    return ShellError(
        failure.message,
        f"{failure.error_id},{command.class_name}",
        "InvalidData" if failure.error_id.startswith("ParameterArgument") else "InvalidArgument",
        activity=command.name,
        exception_type=BINDING_EXCEPTION,
    )


def refusal(command: CommandContract, message: str, error_id: str, category: str, target: str = "") -> ShellError:
    """An error of a cmdlet that ends its pipeline."""
    return ShellError(message, f"{error_id},{command.class_name}", category, target=target, activity=command.name)


def unknown_command(name: str) -> ShellError:
    """No command has the name."""
    return ShellError(
        f"The term '{name}' is not recognized as the name of a cmdlet, function, script file, or operable program. "
        "Check the spelling of the name, or if a path was included, verify that the path is correct and try again.",
        "CommandNotFoundException",
        "ObjectNotFound",
        target=name,
        exception_type="System.Management.Automation.CommandNotFoundException",
    )


def unloadable_module(name: str, module: str) -> ShellError:
    """The command's module is not installed on this host."""
    return ShellError(
        f"The module '{module}' could not be loaded. For more information, run 'Import-Module {module}'.",
        "CouldNotAutoLoadModule",
        "ObjectNotFound",
        target=name,
        exception_type="System.Management.Automation.CommandNotFoundException",
    )


def not_simulated(command: CommandContract) -> ShellError:
    """A documented command that the simulated host does not play."""
    return ShellError(
        f"The simulated host does not play {command.name}.",
        f"NotSimulated,{command.class_name}",
        "NotImplemented",
        target=command.name,
        activity=command.name,
    )


def unknown_script(text: str, why: str) -> ShellError:
    """A script that is neither one of the fixed ones nor a plain command line."""
    return ShellError(
        f"The simulated host does not know this script ({why}): {text[:300]}",
        "ParserError",
        "ParserError",
        exception_type="System.Management.Automation.ParseException",
    )


def needs_answer(command: CommandContract) -> ShellError:
    """The command would ask whether it really shall, and nobody is there to answer."""
    return ShellError(
        "A command that prompts the user failed because the host program or the command type does not support user "
        "interaction. The host was attempting to request confirmation.",
        f"System.Management.Automation.Host.HostException,{command.class_name}",
        "NotImplemented",
        activity=command.name,
        exception_type="System.Management.Automation.Host.HostException",
    )


def defect(failure: Exception, where: str) -> ShellError:
    """An error in the simulated host's own code; the traceback goes to stderr as well."""
    text = "".join(traceback.format_exception(failure))
    sys.stderr.write(text)
    sys.stderr.flush()
    return ShellError(
        f"The simulated host has a defect in {where}: {type(failure).__name__}: {failure}\n{text}",
        "SimulatedHostDefect",
        "InvalidResult",
        target=where,
    )


def record_object(failure: ShellError) -> NetObject:
    """The error as an object, where its stream is merged into the output."""
    exception = NetObject(
        (failure.exception_type, "System.Exception", "System.Object"), {"Message": failure.message}, failure.message
    )
    return NetObject(
        ("System.Management.Automation.ErrorRecord", "System.Object"),
        {
            "Exception": exception,
            "FullyQualifiedErrorId": failure.error_id,
            "TargetObject": failure.target or None,
            "CategoryInfo": f"{failure.category}: ({failure.target}:) [{failure.activity}]",
        },
        failure.message,
    )
