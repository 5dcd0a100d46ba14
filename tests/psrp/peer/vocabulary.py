"""The commands and the fixed scripts that the peer knows. The scripts are PowerShell: the same tests run against pwsh."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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

Parameters = dict[str, Any]
Body = Callable[["Running", Parameters, list[Any], Iterator[Any]], Iterator[Any]]


def invoke(running: Running, shell: psrpcore.PowerShell) -> None:
    """Run every statement; the last stage's objects go to the output stream. Raises ShellError when one ends the pipeline."""
    source: Iterator[Any] = iter(()) if shell.no_input else running.inputs()
    stages: Iterator[Any] = source
    for command in shell.commands:
        stages = _stage(running, command, stages)
        if command.end_of_statement or command is shell.commands[-1]:
            for value in stages:
                running.output(value)
            stages = iter(())


def _body(command: psrpcore.Command) -> Body | None:
    return SCRIPTS.get(command.command_text) if command.is_script else COMMANDS.get(command.command_text.casefold())


def _stage(running: Running, command: psrpcore.Command, upstream: Iterator[Any]) -> Iterator[Any]:
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
    return body(running, named, [value for name, value in command.parameters if name is None], upstream)


def _argument(named: Parameters, args: list[Any], name: str, at: int = 0) -> Any:
    return named[name] if name in named else (args[at] if at < len(args) else None)


def _unrolled(value: Any) -> Iterator[Any]:
    yield from value if isinstance(value, list) else (value,)


def _write_output(running: Running, named: Parameters, args: list[Any], upstream: Iterator[Any]) -> Iterator[Any]:
    yield from _unrolled(_argument(named, args, "inputobject"))


def _get_item(running: Running, named: Parameters, args: list[Any], upstream: Iterator[Any]) -> Iterator[Any]:
    path = str(_argument(named, args, "path"))
    running.error(
        ShellError(
            f"Cannot find path '{path}' because it does not exist.",
            "PathNotFound,Microsoft.PowerShell.Commands.GetItemCommand",
            "ObjectNotFound",
            target=path,
            activity="Get-Item",
        ),
        stop=str(named.get("erroraction", "")).casefold() == "stop",
    )
    yield from ()


def _select(running: Running, named: Parameters, args: list[Any], upstream: Iterator[Any]) -> Iterator[Any]:
    names = [str(name) for name in _unrolled(_argument(named, args, "property"))]
    for value in upstream:
        selected = ps.PSCustomObject()
        for name in names:
            ps.add_note_property(selected, name, getattr(value, name, None))
        yield selected


def _where(running: Running, named: Parameters, args: list[Any], upstream: Iterator[Any]) -> Iterator[Any]:
    name, wanted = str(named["property"]), named["value"]
    yield from (value for value in upstream if getattr(value, name, None) == wanted)


def _start_sleep(running: Running, named: Parameters, args: list[Any], upstream: Iterator[Any]) -> Iterator[Any]:
    running.sleep(float(_argument(named, args, "seconds")))
    yield from ()


def _echo(running: Running, named: Parameters, args: list[Any], upstream: Iterator[Any]) -> Iterator[Any]:
    yield _argument(named, args, "value")


def _streams(running: Running, named: Parameters, args: list[Any], upstream: Iterator[Any]) -> Iterator[Any]:
    yield "out"
    running.error(ShellError("err", "Microsoft.PowerShell.Commands.WriteErrorException", activity="Write-Error"))
    running.write(lambda pipeline: pipeline.write_warning("warn"))
    running.write(lambda pipeline: pipeline.write_verbose("verb"))
    running.write(lambda pipeline: pipeline.write_debug("dbg"))
    running.write(lambda pipeline: pipeline.write_information("info", "Write-Information", tags=["a", "b"]))
    message = ps.PSObject()
    message.PSObject.type_names = ["System.Management.Automation.HostInformationMessage", "System.Object"]
    ps.add_note_property(message, "Message", "host")
    running.write(lambda pipeline: pipeline.write_information(message, "Write-Host", tags=["PSHOST"]))
    running.write(lambda pipeline: pipeline.write_progress("act", 0, "st", percent_complete=40))
    completed = ps.ProgressRecordType.Completed
    running.write(lambda pipeline: pipeline.write_progress("act", 0, "Processing", record_type=completed))


def _throw(running: Running, named: Parameters, args: list[Any], upstream: Iterator[Any]) -> Iterator[Any]:
    raise ShellError("thrown", "thrown", "OperationStopped", target="thrown")
    yield


def _sleep(running: Running, named: Parameters, args: list[Any], upstream: Iterator[Any]) -> Iterator[Any]:
    yield "started"
    running.sleep(60)


def _busy(running: Running, named: Parameters, args: list[Any], upstream: Iterator[Any]) -> Iterator[Any]:
    yield "started"
    while True:
        running.sleep(0.001)


def _exit(running: Running, named: Parameters, args: list[Any], upstream: Iterator[Any]) -> Iterator[Any]:
    yield "before"
    running.exit(int(_argument(named, args, "code")))


def _sum(running: Running, named: Parameters, args: list[Any], upstream: Iterator[Any]) -> Iterator[Any]:
    yield ps.PSInt64(sum(len(value) for value in upstream))


def _double(running: Running, named: Parameters, args: list[Any], upstream: Iterator[Any]) -> Iterator[Any]:
    yield from (ps.PSInt(value * 2) for value in upstream)


def _first(running: Running, named: Parameters, args: list[Any], upstream: Iterator[Any]) -> Iterator[Any]:
    yield next(upstream)


def _bytes(running: Running, named: Parameters, args: list[Any], upstream: Iterator[Any]) -> Iterator[Any]:
    piece = bytes(int(_argument(named, args, "size", 1)))
    for _ in range(int(_argument(named, args, "count"))):
        yield piece


def _ticks(running: Running, named: Parameters, args: list[Any], upstream: Iterator[Any]) -> Iterator[Any]:
    for number in range(1, int(_argument(named, args, "count")) + 1):
        yield ps.PSInt(number)
        running.sleep(0.02)


def _keep(running: Running, named: Parameters, args: list[Any], upstream: Iterator[Any]) -> Iterator[Any]:
    running.variables["kept"] = _argument(named, args, "value")
    yield from ()


def _kept(running: Running, named: Parameters, args: list[Any], upstream: Iterator[Any]) -> Iterator[Any]:
    yield running.variables.get("kept")


def _prompt(running: Running, named: Parameters, args: list[Any], upstream: Iterator[Any]) -> Iterator[Any]:
    yield running.ask(ps.HostMethodIdentifier.ReadLine, [])


def _secret(running: Running, named: Parameters, args: list[Any], upstream: Iterator[Any]) -> Iterator[Any]:
    yield _argument(named, args, "secret").decrypt()


def _secret_back(running: Running, named: Parameters, args: list[Any], upstream: Iterator[Any]) -> Iterator[Any]:
    yield ps.PSSecureString(str(_argument(named, args, "text")))


def _credential(running: Running, named: Parameters, args: list[Any], upstream: Iterator[Any]) -> Iterator[Any]:
    credential = _argument(named, args, "credential")
    yield credential.UserName
    yield credential.Password.decrypt()
    yield credential


def _types(running: Running, named: Parameters, args: list[Any], upstream: Iterator[Any]) -> Iterator[Any]:
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
    faults.COMMAND.casefold(): faults.body,
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
