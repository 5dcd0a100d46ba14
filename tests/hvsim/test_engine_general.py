"""The general cmdlets, through the program."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_hyperv.psrp.calls import Call, Command, Script, Select
from pytest_hyperv.psrp.client import Session
from pytest_hyperv.psrp.dotnet import PSObject, Version
from tests.hvsim.conftest import started
from tests.hvsim.creation import make_host
from tests.hvsim.host.options import HostOptions
from tests.hvsim.host.world import SimHost

ROOT = "C:\\work"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a host."""
    return make_host(tmp_path_factory.mktemp("host"), HostOptions(processors=8)).parents[1]


@pytest.fixture(scope="module")
def session(folder: Path) -> Iterator[Session]:
    """A session with it."""
    with started(folder / "bin" / "powershell.exe") as opened:
        yield opened


BAGS = [PSObject.of(Name="b", Size=2), PSObject.of(Name="a", Size=10), PSObject.of(Name="C", Size=2)]


def piped(session: Session, *stages: Command) -> list[Any]:
    statement = Command("Write-Output", InputObject=BAGS) | stages[0]
    for stage in stages[1:]:
        statement = statement | stage
    return session.call(statement).output


@pytest.mark.parametrize(
    ("operator", "name", "value", "found"),
    [
        ("EQ", "Name", "B", ["b"]),
        ("NE", "Name", "b", ["a", "C"]),
        ("Like", "Name", "[ab]*", ["b", "a"]),
        ("NotLike", "Name", "?", []),
        ("Match", "Name", "^[bc]$", ["b", "C"]),
        ("NotMatch", "Name", "a", ["b", "C"]),
        ("In", "Name", ["c", "x"], ["C"]),
        ("NotIn", "Name", ["c", "x"], ["b", "a"]),
        ("GT", "Size", "2", ["a"]),
        ("GE", "Size", 2, ["b", "a", "C"]),
        ("LT", "Size", 10, ["b", "C"]),
        ("LE", "Size", 2, ["b", "C"]),
        ("EQ", "Size", "10", ["a"]),
    ],
)
def test_where_object_compares_as_powershell_does(
    session: Session, operator: str, name: str, value: Any, found: list[str]
) -> None:
    where = Command("Where-Object", Property=name, Value=value, **{operator: True})
    assert [bag.Name for bag in piped(session, where)] == found


def test_where_object_takes_an_enum_by_name_and_by_number(session: Session) -> None:
    session.call(Command("New-VMSwitch", Name="s", SwitchType="Private"))
    for value in ("private", 0):
        where = Command("Where-Object", Property="SwitchType", EQ=True, Value=value)
        assert session.call(Command("Get-VMSwitch") | where | Select("Name")).one.Name == "s"


def test_sort_select_and_foreach(session: Session) -> None:
    names = Command("ForEach-Object", MemberName="Name")
    assert piped(session, Command("Sort-Object", Property=["Size", "Name"]), names) == ["b", "C", "a"]
    assert piped(session, Command("Sort-Object", Property="Name", Descending=True), names) == ["C", "b", "a"]
    assert piped(session, Select(First=1), names) == ["b"]
    assert piped(session, Select(Last=1), names) == ["C"]
    assert piped(session, Select(Skip=1), names) == ["a", "C"]
    assert piped(session, Select(Index=[0, 2]), names) == ["b", "C"]
    assert piped(session, Select(ExpandProperty="Size", Unique=True)) == [2, 10]
    (renamed, *_) = piped(session, Select(First=1, Property=[{"n": "Label", "e": "Name"}, "S*"]))
    assert dict(renamed.properties) == {"Label": "b", "Size": 2}


def test_measure_and_group(session: Session) -> None:
    (measured,) = piped(session, Command("Measure-Object", Property="Size", Sum=True, Maximum=True))
    assert (measured.Count, measured.Sum, measured.Maximum, measured.Average) == (3, 14.0, 10.0, None)
    assert [(group.Name, group.Count) for group in piped(session, Command("Group-Object", Property="Size"))] == [
        ("2", 2),
        ("10", 1),
    ]
    assert piped(session, Command("Out-Null")) == []


def test_files_are_real_bytes_below_the_hosts_folder(session: Session, folder: Path) -> None:
    session.call(Command("New-Item", Path=f"{ROOT}\\deep\\er", ItemType="Directory"))
    session.call(Command("Set-Content", LiteralPath=f"{ROOT}\\deep\\a.txt", Value=["x", "ä"]))
    real = folder / "drives" / "C" / "work" / "deep" / "a.txt"
    assert real.read_bytes() == "x\r\nä\r\n".encode()
    assert session.call(Command("Get-Content", Path="c:/WORK/deep/A.TXT")).output == ["x", "ä"]
    found = session.call(Command("Get-FileHash", LiteralPath=f"{ROOT}\\deep\\a.txt") | Select("Hash")).one
    assert found.Hash.lower() == hashlib.sha256(real.read_bytes()).hexdigest()
    item = session.call(Command("Get-Item", LiteralPath=f"{ROOT}\\deep\\a.txt")).one
    assert (item.Name, item.Length, item.IsReadOnly, str(item)) == ("a.txt", 7, False, f"{ROOT}\\deep\\a.txt")
    listed = session.call(Command("Get-ChildItem", LiteralPath=ROOT, Recurse=True, File=True) | Select("FullName"))
    assert listed.one.FullName == f"{ROOT}\\deep\\a.txt"
    session.call(Command("Copy-Item", Path=f"{ROOT}\\deep\\a.txt", Destination=f"{ROOT}\\b.txt"))
    assert session.call(Script(f"Test-Path {ROOT}\\b.txt, {ROOT}\\none, {ROOT}\\*.txt")).output == [True, False, True]
    session.call(Command("Remove-Item", LiteralPath=ROOT, Recurse=True, Force=True))
    assert not (folder / "drives" / "C" / "work").exists()


def test_a_read_only_file_is_removed_by_force_alone(session: Session) -> None:
    path = f"{ROOT}\\golden.vhdx"
    session.call(Call(Command("New-Item", Path=path, ItemType="File", Force=True)))
    session.call(Command("Set-ItemProperty", LiteralPath=path, Name="IsReadOnly", Value=True))
    refused = session.run(Command("Remove-Item", LiteralPath=path)).errors[0]
    assert refused.error_id.startswith("RemoveFileSystemItemUnAuthorizedAccess,")
    assert refused.category == "PermissionDenied"
    session.call(Command("Remove-Item", LiteralPath=path, Force=True))
    assert session.call(Command("Test-Path", LiteralPath=path)).one is False


def test_a_file_in_use_stays_and_so_does_the_folder_that_holds_it(session: Session, folder: Path) -> None:
    for name in ("held.vhdx", "free.vhdx"):
        session.call(Command("New-Item", Path=f"{ROOT}\\vm\\{name}", ItemType="File", Force=True))
    with SimHost(folder).transaction() as world:
        world.hold(f"{ROOT}\\vm\\held.vhdx", 3600, "a scanner")
    result = session.run(Command("Remove-Item", LiteralPath=f"{ROOT}\\vm", Recurse=True, Force=True))
    assert {(error.error_id.split(",")[0], error.category) for error in result.errors} == {
        ("RemoveFileSystemItemIOError", "WriteError")
    }
    assert session.call(Command("Get-ChildItem", LiteralPath=f"{ROOT}\\vm") | Select("Name")).one.Name == "held.vhdx"


@pytest.mark.parametrize(
    ("command", "error_id", "category"),
    [
        (Command("Get-Item", LiteralPath="C:\\none"), "PathNotFound", "ObjectNotFound"),
        (Command("Remove-Item", LiteralPath="C:\\none"), "PathNotFound", "ObjectNotFound"),
        (Command("New-Item", Path="C:\\", ItemType="Directory"), "DirectoryExist", "ResourceExists"),
        (Command("New-Item", Path="C:\\no\\folder.txt", ItemType="File"), "NewItemIOError", "WriteError"),
        (Command("Get-CimInstance", ClassName="Win32_Bogus"), "HRESULT 0x80041010", "MetadataError"),
        (
            Command("Get-WinEvent", FilterHashtable={"LogName": "System", "Id": 1}),
            "NoMatchingEventsFound",
            "ObjectNotFound",
        ),
        (Command("Get-WinEvent", FilterHashtable={"LogName": "Bogus"}), "NoMatchingLogsFound", "ObjectNotFound"),
        (Command("Get-Variable", Name="none"), "VariableNotFound", "ObjectNotFound"),
    ],
)
def test_failures_have_the_ids_and_categories_of_the_real_ones(
    session: Session, command: Command, error_id: str, category: str
) -> None:
    error = session.run(command).errors[0]
    assert (error.error_id.split(",")[0], error.category) == (error_id, category)


def test_the_host_tells_what_it_is(session: Session) -> None:
    def cim(name: str, *properties: str, **more: Any) -> PSObject:
        found = session.call(Command("Get-CimInstance", ClassName=name, **more) | Select(*properties)).one
        assert isinstance(found, PSObject)
        return found

    system = cim("Win32_OperatingSystem", "Caption", "BuildNumber", "ProductType")
    assert (system.BuildNumber, system.ProductType) == ("26100", 3)
    assert cim("Win32_ComputerSystem", "NumberOfLogicalProcessors").NumberOfLogicalProcessors == 8
    assert cim("Win32_Processor", "VirtualizationFirmwareEnabled").VirtualizationFirmwareEnabled is False
    assert cim("Win32_LogicalDisk", "DeviceID", Filter="DriveType=3").DeviceID == "C:"
    assert session.call(Command("Get-CimInstance", ClassName="Win32_LogicalDisk", Filter="DeviceID='D:'")).output == []
    module = session.call(Command("Get-Module", Name="Hyper-V", ListAvailable=True) | Select("Version")).one
    assert module.Version == Version(2, 0, 0, 0)


def test_events_are_found_by_log_id_and_time(session: Session, folder: Path) -> None:
    session.call(Command("New-VM", Name="seen", Generation=2, MemoryStartupBytes=2**30, NoVHD=True))
    with SimHost(folder).transaction() as world:
        (vm,) = world.machines.values()
        world.log("Microsoft-Windows-Hyper-V-Worker-Admin", 18590, vm, "it crashed", 1)
        now = datetime.datetime.fromtimestamp(world.now, datetime.UTC)
    wanted = [{"LogName": "Microsoft-Windows-Hyper-V-Worker-Admin", "Id": number} for number in (18590, 18539)]
    for start, count in ((now - datetime.timedelta(hours=1), 1), (now + datetime.timedelta(hours=1), 0)):
        tables = [{**table, "StartTime": start} for table in wanted]
        found = session.run(Command("Get-WinEvent", FilterHashtable=tables))
        assert [event.Id for event in found.output] == [18590] * count
        assert len(found.errors) == 1 - count
    for key in wanted[0]:
        listed = {**wanted[0], key: [wanted[0][key]]}
        refused = session.run(Command("Get-WinEvent", FilterHashtable=listed))
        assert refused.output == [], "a list that came through a session counts as one text"


def test_commands_can_be_looked_up(session: Session) -> None:
    found = session.call(Command("Get-Command", Name=["Get-VM", "Out-Null"]) | Select("Name", "Source", "CommandType"))
    assert [(command.Name, command.Source, str(command.CommandType)) for command in found.output] == [
        ("Get-VM", "Hyper-V", "Cmdlet"),
        ("Out-Null", "Microsoft.PowerShell.Core", "Cmdlet"),
    ]
    interactive = ["Out-Default", "Exit-PSSession", "Measure-Object", "Select-Object", "Get-Command", "prompt"]
    assert len(session.call(Command("Get-Command", Name=interactive)).output) == len(interactive)
    assert session.run(Command("Get-Command", Name="Get-Bogus")).errors[0].error_id.startswith("CommandNotFound")


def test_the_clock_is_the_hosts(session: Session, folder: Path) -> None:
    host = SimHost(folder)
    before = session.call(Command("Get-Date")).one
    host.advance(7200)
    assert session.call(Command("Get-Date")).one - before >= datetime.timedelta(hours=2)
