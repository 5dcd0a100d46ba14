"""Modules and commands as a session sees them: Import-Module, Get-Module, Get-Command."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tests.hvsim.contract import CommandContract, Contract
from tests.hvsim.engine.general.comparison import wildcard
from tests.hvsim.engine.general.undocumented import UNDOCUMENTED
from tests.hvsim.engine.invocation import Invocation, ProcessState
from tests.hvsim.engine.values import EnumValue
from tests.hvsim.host.failures import HostFailure
from tests.hvsim.host.faults import module_delay
from tests.hvsim.host.world import SimHost
from tests.hvsim.values import NetObject, Version

HYPER_V = "Hyper-V"
VERSIONS = {HYPER_V: Version((2, 0, 0, 0)), "CimCmdlets": Version((1, 0, 0, 0))}
_OTHER = Version((3, 1, 0, 0))
_MODULE_TYPE = "System.Management.Automation.ModuleType"
_COMMAND_TYPE = "System.Management.Automation.CommandTypes"
_WILD = "*?["


def load(host: SimHost, process: ProcessState, module: str, sleep: Callable[[float], None]) -> None:
    """Load a module at its first use; the fault "slow-module" makes that of Hyper-V wait."""
    if module == HYPER_V and module not in process.modules:
        delay = module_delay(host)
        if delay:
            sleep(host.real_seconds(delay))
    process.modules.add(module)


def import_module(inv: Invocation) -> Iterator[object]:
    """Load modules by name. HostFailure for one that is not installed."""
    for name in inv.value("Name") or []:
        known = next((module for module in _installed(inv.host) if module.casefold() == str(name).casefold()), None)
        if known is None:
            raise HostFailure(
                f"The specified module '{name}' was not loaded because no valid module file was found in any module "
                "directory.",
                error_id="Modules_ModuleNotFound",
                category="ResourceUnavailable",
                target=str(name),
            )
        load(inv.host, inv.process, known, inv.sleep)
        if inv.value("PassThru"):
            yield _module(known)


def get_module(inv: Invocation) -> Iterator[object]:
    """The loaded modules, or with -ListAvailable those that are installed."""
    among = _installed(inv.host) if inv.value("ListAvailable") else sorted(inv.process.modules)
    matchers = [wildcard(str(name)) for name in inv.value("Name") or ["*"]]
    for name in among:
        if any(matcher.fullmatch(name) for matcher in matchers):
            yield _module(name)


def get_command(inv: Invocation) -> Iterator[object]:
    """Commands by name, verb, noun or module."""
    documented = Contract.load(inv.host.options.version).commands
    installed = {"", *_installed(inv.host)}
    commands = [command for command in (*documented, *UNDOCUMENTED.values()) if command.module in installed]
    modules, names = inv.value("Module"), inv.value("Name")
    if modules is not None:
        commands = [command for command in commands if _fits(command.module, modules)]
    for part, at in (("Verb", 0), ("Noun", 2)):
        if inv.value(part) is not None:
            commands = [command for command in commands if _fits(command.name.partition("-")[at], inv.value(part))]
    if names is None:
        yield from map(_command, commands)
        return
    for name in names:
        plain = str(name).rpartition("\\")[2]
        found = [command for command in commands if _fits(command.name, [plain])]
        if not found and not any(character in plain for character in _WILD):
            inv.error(
                HostFailure(
                    f"The term '{name}' is not recognized as the name of a cmdlet, function, script file, or operable "
                    "program.",
                    error_id="CommandNotFoundException",
                    category="ObjectNotFound",
                    target=str(name),
                )
            )
        yield from map(_command, found)


def _installed(host: SimHost) -> list[str]:
    modules = {command.module for command in Contract.load(host.options.version).commands}
    return sorted(modules if host.options.module else modules - {HYPER_V})


def _fits(name: str, patterns: list[object]) -> bool:
    return any(wildcard(str(pattern)).fullmatch(name) for pattern in patterns)


def _module(name: str) -> NetObject:
    bag = {
        "Name": name,
        "Version": VERSIONS.get(name, _OTHER),
        "ModuleType": EnumValue(_MODULE_TYPE, "Manifest", 2),
        "Path": f"C:\\Windows\\system32\\WindowsPowerShell\\v1.0\\Modules\\{name}\\{name}.psd1",
        "ModuleBase": f"C:\\Windows\\system32\\WindowsPowerShell\\v1.0\\Modules\\{name}",
        "Description": "",
    }
    return NetObject(("System.Management.Automation.PSModuleInfo", "System.Object"), bag, name)


def _command(command: CommandContract) -> NetObject:
    function = command.is_function
    bag = {
        "Name": command.name,
        "CommandType": EnumValue(_COMMAND_TYPE, "Function", 2) if function else EnumValue(_COMMAND_TYPE, "Cmdlet", 8),
        "Source": command.module,
        "ModuleName": command.module,
        "Namespace": command.module,
        "Version": VERSIONS.get(command.module, _OTHER),
        "Definition": command.name,
        "HelpUri": "",
        "ResolvedCommandName": None,
        "OutputType": [],
        "Parameters": dict.fromkeys(command.parameters),
        "Visibility": EnumValue("System.Management.Automation.SessionStateEntryVisibility", "Public", 0),
    }
    kind = "FunctionInfo" if function else "CmdletInfo"
    names = (f"System.Management.Automation.{kind}", "System.Management.Automation.CommandInfo", "System.Object")
    return NetObject(names, bag, command.name)
