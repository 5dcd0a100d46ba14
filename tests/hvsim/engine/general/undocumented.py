"""Commands of every session that the reference data does not describe, with the parameters a client sends."""

from __future__ import annotations

from types import MappingProxyType

from tests.hvsim.contract import ALL_SETS, CommandContract, InSet, Parameter

CORE, UTILITY = "Microsoft.PowerShell.Core", "Microsoft.PowerShell.Utility"


def _command(name: str, module: str, class_name: str, *parameters: Parameter) -> CommandContract:
    by_name = {parameter.name: parameter for parameter in parameters}
    return CommandContract(
        name, module, class_name, (ALL_SETS,), ALL_SETS, MappingProxyType(by_name), MappingProxyType({})
    )


def _parameter(name: str, kind: str, position: int | None = None, *, piped: bool = False) -> Parameter:
    return Parameter(name, kind, MappingProxyType({ALL_SETS: InSet(position=position)}), by_value=piped)


_INPUT = _parameter("InputObject", "PSObject", piped=True)
_ACTION = _parameter("ErrorAction", "String")
_COMMANDS = (
    _command(
        "Out-Default",
        CORE,
        "Microsoft.PowerShell.Commands.OutDefaultCommand",
        _INPUT,
        _parameter("Transcript", "SwitchParameter"),
        _ACTION,
    ),
    _command("Out-Host", CORE, "Microsoft.PowerShell.Commands.OutHostCommand", _INPUT, _ACTION),
    _command(
        "Write-Host",
        UTILITY,
        "Microsoft.PowerShell.Commands.WriteHostCommand",
        _parameter("Object", "Object", 0, piped=True),
        _parameter("NoNewline", "SwitchParameter"),
        _parameter("ForegroundColor", "String"),
        _parameter("BackgroundColor", "String"),
        _ACTION,
    ),
    _command("Get-Host", UTILITY, "Microsoft.PowerShell.Commands.GetHostCommand", _ACTION),
    _command("Get-Culture", UTILITY, "Microsoft.PowerShell.Commands.GetCultureCommand", _ACTION),
    _command("Exit-PSSession", CORE, "Microsoft.PowerShell.Commands.ExitPSSessionCommand", _ACTION),
    _command("prompt", "", "prompt", _ACTION),
)

UNDOCUMENTED = MappingProxyType({command.name.casefold(): command for command in _COMMANDS})
"""By name in lower case."""
