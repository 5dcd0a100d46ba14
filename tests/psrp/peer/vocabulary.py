"""The commands and the fixed scripts that the peer knows. The scripts are PowerShell: the same tests run against
pwsh.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psrpcore
from psrpcore import types as ps

from . import faults
from .records import ShellError

if TYPE_CHECKING:
    from .server import Running

ECHO = "param($value) , $value"
STREAMS = (
    "Write-Output out; Write-Error err; Write-Warning warn; Write-Verbose verb -Verbose; Write-Debug dbg -Debug; "
    "Write-Information info -Tags a,b; Write-Host host; Write-Progress -Activity act -Status st -PercentComplete 40; "
    "Write-Progress -Activity act -Completed"
)
THROW = 'throw "thrown"'
SLEEP = '"started"; Start-Sleep 60'
BUSY = '"started"; while ($true) { }'
EXIT = "param($code) 'before'; exit $code; 'after'"
SUM = "begin { $n = 0 } process { $n += $_.Length } end { $n }"
DOUBLE = "$input | ForEach-Object { $_ * 2 }"
BYTES = "param($count, $size) $piece = [byte[]]::new($size); for ($i = 0; $i -lt $count; $i++) { , $piece }"
TICKS = "param($count) foreach ($i in 1..$count) { $i; Start-Sleep -Milliseconds 20 }"
FIRST = "$input | Select-Object -First 1"
KEEP = "param($value) $global:kept = $value"
KEPT = "$global:kept"
PROMPT = "$host.UI.ReadLine()"
SECRET = "param($secret) [pscredential]::new('u', $secret).GetNetworkCredential().Password"
SECRET_BACK = "param($text) ConvertTo-SecureString $text -AsPlainText -Force"
CREDENTIAL = "param($credential) $credential.UserName; $credential.GetNetworkCredential().Password; $credential"
TYPES = (
    "[System.DayOfWeek]::Friday; [version]'1.2.3.4'; [uri]'http://a/b?c'; [xml]'<a b=\"c\" />'; [char]65; "
    "[pscustomobject]@{ A = 1; B = $null; C = @(1, 2) }; [single]1.5; [byte]255; { 1 + 1 }"
)
PID = "$PID"


@dataclass(frozen=True)
class Stage:
    """One command of a pipeline with what it was given."""

    running: Running
    named: dict[str, Any]
    positional: list[Any]
    upstream: Iterator[Any]

    def argument(self, name: str, at: int = 0) -> Any:
        """A parameter given by name, or the positional one at this place, or None."""
        if name in self.named:
            return self.named[name]
        return self.positional[at] if at < len(self.positional) else None


Body = Callable[[Stage], Iterator[Any]]


def invoke(running: Running, shell: psrpcore.PowerShell) -> None:
    """Run every statement; the last stage's objects go to the output stream.

    Raises ShellError when one ends the pipeline.
    """
    source: Iterator[Any] = iter(()) if shell.no_input else running.inputs()
    stages: Iterator[Any] = source
    for command in shell.commands:
        stages = _start(running, command, stages)
        if command.end_of_statement or command is shell.commands[-1]:
            for value in stages:
                running.output(value)
            stages = iter(())


def _body(command: psrpcore.Command) -> Body | None:
    return SCRIPTS.get(command.command_text) if command.is_script else COMMANDS.get(command.command_text.casefold())


def _start(running: Running, command: psrpcore.Command, upstream: Iterator[Any]) -> Iterator[Any]:
    body = _body(command)
    if body is None and command.is_script:
        raise ShellError(f"The peer does not know this script: {command.command_text}", "ParserError", "ParserError")
    if body is None:
        raise ShellError(
            f"The term '{command.command_text}' is not recognized as a name of a cmdlet.",
            "CommandNotFoundException",
            "ObjectNotFound",
            target=command.command_text,
        )
    named = {name.lstrip("-").casefold(): value for name, value in command.parameters if name is not None}
    return body(Stage(running, named, [value for name, value in command.parameters if name is None], upstream))


def _unrolled(value: Any) -> Iterator[Any]:
    yield from value if isinstance(value, list) else (value,)


def _write_output(stage: Stage) -> Iterator[Any]:
    yield from _unrolled(stage.argument("inputobject"))


def _get_item(stage: Stage) -> Iterator[Any]:
    path = str(stage.argument("path"))
    stage.running.error(
        ShellError(
            f"Cannot find path '{path}' because it does not exist.",
            "PathNotFound,Microsoft.PowerShell.Commands.GetItemCommand",
            "ObjectNotFound",
            target=path,
            activity="Get-Item",
        ),
        stop=str(stage.named.get("erroraction", "")).casefold() == "stop",
    )
    yield from ()


def _select(stage: Stage) -> Iterator[Any]:
    names = [str(name) for name in _unrolled(stage.argument("property"))]
    for value in stage.upstream:
        selected = ps.PSCustomObject()
        for name in names:
            ps.add_note_property(selected, name, getattr(value, name, None))
        yield selected


def _where(stage: Stage) -> Iterator[Any]:
    name, wanted = str(stage.named["property"]), stage.named["value"]
    yield from (value for value in stage.upstream if getattr(value, name, None) == wanted)


def _start_sleep(stage: Stage) -> Iterator[Any]:
    stage.running.sleep(float(stage.argument("seconds")))
    yield from ()


def _echo(stage: Stage) -> Iterator[Any]:
    yield stage.argument("value")


def _streams(stage: Stage) -> Iterator[Any]:
    yield "out"
    stage.running.error(ShellError("err", "Microsoft.PowerShell.Commands.WriteErrorException", activity="Write-Error"))
    stage.running.write(lambda pipeline: pipeline.write_warning("warn"))
    stage.running.write(lambda pipeline: pipeline.write_verbose("verb"))
    stage.running.write(lambda pipeline: pipeline.write_debug("dbg"))
    stage.running.write(lambda pipeline: pipeline.write_information("info", "Write-Information", tags=["a", "b"]))
    message = ps.PSObject()
    message.PSObject.type_names = ["System.Management.Automation.HostInformationMessage", "System.Object"]
    ps.add_note_property(message, "Message", "host")
    stage.running.write(lambda pipeline: pipeline.write_information(message, "Write-Host", tags=["PSHOST"]))
    stage.running.write(lambda pipeline: pipeline.write_progress("act", 0, "st", percent_complete=40))
    completed = ps.ProgressRecordType.Completed
    stage.running.write(lambda pipeline: pipeline.write_progress("act", 0, "Processing", record_type=completed))


def _throw(_stage: Stage) -> Iterator[Any]:
    raise ShellError("thrown", "thrown", "OperationStopped", target="thrown")
    yield


def _sleep(stage: Stage) -> Iterator[Any]:
    yield "started"
    stage.running.sleep(60)


def _busy(stage: Stage) -> Iterator[Any]:
    yield "started"
    while True:
        stage.running.sleep(0.001)


def _exit(stage: Stage) -> Iterator[Any]:
    yield "before"
    stage.running.exit(int(stage.argument("code")))


def _sum(stage: Stage) -> Iterator[Any]:
    yield ps.PSInt64(sum(len(value) for value in stage.upstream))


def _double(stage: Stage) -> Iterator[Any]:
    yield from (ps.PSInt(value * 2) for value in stage.upstream)


def _first(stage: Stage) -> Iterator[Any]:
    yield next(stage.upstream)


def _bytes(stage: Stage) -> Iterator[Any]:
    piece = bytes(int(stage.argument("size", 1)))
    for _ in range(int(stage.argument("count"))):
        yield piece


def _ticks(stage: Stage) -> Iterator[Any]:
    for number in range(1, int(stage.argument("count")) + 1):
        yield ps.PSInt(number)
        stage.running.sleep(0.02)


def _keep(stage: Stage) -> Iterator[Any]:
    stage.running.variables["kept"] = stage.argument("value")
    yield from ()


def _kept(stage: Stage) -> Iterator[Any]:
    yield stage.running.variables.get("kept")


def _prompt(stage: Stage) -> Iterator[Any]:
    yield stage.running.ask(ps.HostMethodIdentifier.ReadLine, [])


def _secret(stage: Stage) -> Iterator[Any]:
    yield stage.argument("secret").decrypt()


def _secret_back(stage: Stage) -> Iterator[Any]:
    yield ps.PSSecureString(str(stage.argument("text")))


def _credential(stage: Stage) -> Iterator[Any]:
    credential = stage.argument("credential")
    yield credential.UserName
    yield credential.Password.decrypt()
    yield credential


def _types(_stage: Stage) -> Iterator[Any]:
    bag = ps.PSCustomObject()
    for name, value in (("A", ps.PSInt(1)), ("B", None), ("C", [ps.PSInt(1), ps.PSInt(2)])):
        ps.add_note_property(bag, name, value)
    yield _DayOfWeek.Friday
    yield from (ps.PSVersion("1.2.3.4"), ps.PSUri("http://a/b?c"), ps.PSXml('<a b="c" />'), ps.PSChar("A"), bag)
    yield from (ps.PSSingle(1.5), ps.PSByte(255), ps.PSScriptBlock(" 1 + 1 "))


@ps.PSType(["System.DayOfWeek"], rehydrate=False)
class _DayOfWeek(ps.PSEnumBase):
    Friday = 5


COMMANDS: dict[str, Body] = {
    "write-output": _write_output,
    "get-item": _get_item,
    "select-object": _select,
    "where-object": _where,
    "start-sleep": _start_sleep,
    faults.COMMAND.casefold(): lambda stage: faults.happen(stage.running, str(stage.named["kind"])),
}
SCRIPTS: dict[str, Body] = {
    ECHO: _echo,
    STREAMS: _streams,
    THROW: _throw,
    SLEEP: _sleep,
    BUSY: _busy,
    EXIT: _exit,
    SUM: _sum,
    DOUBLE: _double,
    FIRST: _first,
    BYTES: _bytes,
    TICKS: _ticks,
    KEEP: _keep,
    KEPT: _kept,
    PROMPT: _prompt,
    SECRET: _secret,
    SECRET_BACK: _secret_back,
    CREDENTIAL: _credential,
    TYPES: _types,
}
