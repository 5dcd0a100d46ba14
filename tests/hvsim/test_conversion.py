"""Values on their way to a parameter's type: what converts, into what, and with which id the rest is refused."""

from __future__ import annotations

from copy import deepcopy
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from tests.hvsim.binder import Version, bind
from tests.hvsim.calls import COPY, GUID, REQUIRED, Argument, bound, made, parameter, refused
from tests.hvsim.contract import ALL_SETS
from tests.hvsim.values import TimeSpan


@pytest.mark.parametrize(
    ("name", "given", "value", "described"),
    [
        ("Set-VM", ("Notes", 5), "5", "String:5"),
        ("Set-VM", ("Notes", UUID(GUID)), GUID, f"String:{GUID}"),
        ("Set-VM", ("Notes", 0.1), "0.1", "String:0.1"),
        ("Set-VM", ("Notes", 1e20), "1E+20", "String:1E+20"),
        ("Set-VM", ("StaticMemory", 0), False, "SwitchParameter:False"),
        ("Set-VM", ("StaticMemory", None), True, "SwitchParameter:True"),
        ("Set-VM", ("AutomaticCheckpointsEnabled", 1), True, "Boolean:True"),
        ("Set-VM", ("AutomaticStartDelay", "0x10"), 16, "Int32:16"),
        ("Set-VM", ("AutomaticStartDelay", "2.5"), 2, "Int32:2"),
        ("Set-VM", ("AutomaticStartDelay", 3.5), 4, "Int32:4"),
        ("Set-VM", ("AutomaticStartDelay", ""), 0, "Int32:0"),
        ("Set-VM", ("AutomaticStartDelay", True), 1, "Int32:1"),
        ("Set-VM", ("MemoryStartupBytes", "2gb"), 2**31, "Int64:2147483648"),
        ("Set-VM", ("CheckpointType", "productiononly"), "ProductionOnly", "CheckpointType:ProductionOnly"),
        ("Set-VM", ("CheckpointType", "stan"), "Standard", "CheckpointType:Standard"),
        ("Set-VM", ("CheckpointType", 0), "Disabled", "CheckpointType:Disabled"),
        ("Set-VM", ("CheckpointType", ["Standard"]), "Standard", "CheckpointType:Standard"),
    ],
)
def test_values_become_what_the_parameter_is(name: str, given: Argument, value: object, described: str) -> None:
    found = bound(name, ("Name", "a"), given)
    assert found.values[str(given[0])] == value
    assert found.described()[str(given[0])] == described


@pytest.mark.parametrize(
    ("given", "value", "described"),
    [
        (GUID.upper(), [UUID(GUID)], f"Guid[Guid:{GUID}]"),
        ([f"{{{GUID}}}", UUID(GUID)], [UUID(GUID)] * 2, f"Guid[Guid:{GUID},Guid:{GUID}]"),
    ],
)
def test_scalar_becomes_an_array_and_each_element_its_type(given: object, value: object, described: str) -> None:
    found = bound("Get-VMSwitch", ("Id", given))
    assert (found.values["Id"], found.described()["Id"]) == (value, described)


@pytest.mark.parametrize(
    ("given", "value", "text"),
    [
        ("00:05:00", timedelta(minutes=5), "00:05:00"),
        ("1.02:03:04.5", timedelta(days=1, hours=2, minutes=3, seconds=4.5), "1.02:03:04.5000000"),
        ("3", timedelta(days=3), "3.00:00:00"),
        ("-00:01", -timedelta(minutes=1), "-00:01:00"),
        (5, timedelta(), "00:00:00.0000005"),
        (timedelta(seconds=90), timedelta(seconds=90), "00:01:30"),
    ],
)
def test_durations_come_from_text_and_ticks(given: object, value: timedelta, text: str) -> None:
    found = bound("Set-VMReplicationServer", ("MonitoringInterval", given))
    assert found.values["MonitoringInterval"] == value
    assert found.described()["MonitoringInterval"] == f"TimeSpan:{text}"


def test_durations_are_copied_to_the_tick() -> None:
    found = bound("Set-VMReplicationServer", ("MonitoringInterval", 5))
    copy = deepcopy(found.values["MonitoringInterval"])
    assert isinstance(copy, TimeSpan)
    assert copy.ticks == 5


@pytest.mark.parametrize("given", ["2024-05-06T07:08:09", "05/06/2024 07:08:09", "5/6/2024 7:08:09 AM"])
def test_dates_come_from_text(given: str) -> None:
    found = bind(made(parameter("Time", "DateTime")), [("Time", given)])
    assert found.values["Time"] == datetime(2024, 5, 6, 7, 8, 9)
    assert found.described()["Time"] == "DateTime:05/06/2024 07:08:09"


@pytest.mark.parametrize(
    ("kind", "given", "described"),
    [
        ("Char", "x", "Char:x"),
        ("Char[]", ["x", 5], "Char[Char:x,Char:5]"),
        ("Uri", "http://x/", "Uri:http://x/"),
        ("DateTime", 864_000_000_000, "DateTime:01/02/0001 00:00:00"),
        ("Double", "0x10", "Double:16"),
        ("Double", True, "Double:1"),
        ("Byte", "200", "Byte:200"),
        ("UInt64", 2**64 - 1, f"UInt64:{2**64 - 1}"),
        ("Int32[]", b"\x01\x02", "Int32[Int32:1,Int32:2]"),
        ("Object", [1, "a"], "ArrayList:1 a"),
        ("Object", 2**40, f"Int64:{2**40}"),
        ("Object", 2**63, f"UInt64:{2**63}"),
        ("Object[]", [1, None], "Object[Int32:1,null]"),
        ("CimSession", "host", "CimSession:Microsoft.Management.Infrastructure.CimSession"),
        ("String", timedelta(days=-1, seconds=1), "String:-23:59:59"),
        ("String", b"a", None),
        ("Hashtable", "a", None),
        ("Char", "xy", None),
        ("Byte", 256, None),
        ("Double", "one", None),
        ("Int32", float("inf"), None),
        ("Int32", datetime(2024, 5, 6), None),
        ("DateTime", "tomorrow", None),
        ("DateTime", "99/99", None),
        ("DateTime", True, None),
        ("DateTime", -1, None),
        ("DateTime", 2**63 - 1, None),
        ("TimeSpan", "99999999", None),
        ("TimeSpan", 2**63, None),
        ("TimeSpan", "25:00", None),
        ("TimeSpan", "soon", None),
        ("Version", "1", None),
        ("Version", "1.x", None),
    ],
)
def test_every_documented_kind_of_type_converts_or_refuses(kind: str, given: object, described: str | None) -> None:
    target = made(parameter("It", kind))
    if described is None:
        assert refused(target, ("It", given)).error_id.startswith("CannotConvertArgument")
    else:
        assert bind(target, [("It", given)]).described() == {"It": described}


def test_versions_tables_and_bytes_keep_their_kind() -> None:
    assert bound("New-VM", ("Version", "9.0")).values["Version"] == Version((9, 0))
    mapping = bound("Set-VMReplicationServer", ("KerberosAuthenticationPortMapping", {"a": 1}))
    assert mapping.described()["KerberosAuthenticationPortMapping"] == "Hashtable:System.Collections.Hashtable"
    protector = bound("Set-VMKeyProtector", ("VMName", "a"), ("KeyProtector", b"\x01\xff"))
    assert protector.described()["KeyProtector"] == "Byte[Byte:1,Byte:255]"


@pytest.mark.parametrize(
    ("given", "error_id", "words"),
    [
        (("Notes", ["a", "b"]), "CannotConvertArgument", "Cannot convert 'a b' to the type 'System.String'"),
        (("StaticMemory", "yes"), "CannotConvertArgument", "Cannot convert 'System.String' to the type"),
        (("AutomaticCheckpointsEnabled", "false"), "CannotConvertArgument", "the type 'System.Boolean'"),
        (("AutomaticCheckpointsEnabled", None), "ParameterArgumentValidationErrorNullNotAllowed", "it is null"),
        (("AutomaticStartDelay", None), "ParameterBindingFailed", 'Cannot convert null to type "System.Int32"'),
        (("CheckpointType", None), "ParameterBindingFailed", "Cannot convert null to type"),
        (("AutomaticStartDelay", "abc"), "CannotConvertArgumentNoMessage", "'abc' was not in a correct format"),
        (("AutomaticStartDelay", 2**31), "CannotConvertArgumentNoMessage", "too small for an Int32"),
        (("AutomaticStartDelay", UUID(GUID)), "CannotConvertArgumentNoMessage", 'type "System.Guid" to type'),
        (("MemoryStartupBytes", 2**63), "CannotConvertArgumentNoMessage", "too small for an Int64"),
        (("CheckpointType", "P"), "CannotConvertArgumentNoMessage", "names: Production, ProductionOnly. Use"),
        (("CheckpointType", ["Standard", "X"]), "CannotConvertArgumentNoMessage", "identifier name Standard,X to"),
        (("CheckpointType", "Offline"), "CannotConvertArgumentNoMessage", "Unable to match the identifier name"),
        (("CheckpointType", ""), "CannotConvertArgumentNoMessage", 'Cannot convert the "" value'),
        (("CheckpointType", 99), "CannotConvertArgumentNoMessage", "The possible enumeration values are"),
        (("CheckpointType", True), "CannotConvertArgumentNoMessage", "Invalid cast from 'System.Boolean'"),
        (("VM", "vm1"), "CannotConvertArgumentNoMessage", 'to type "Microsoft.HyperV.PowerShell.VirtualMachine"'),
        (("VM", COPY), "CannotConvertArgumentNoMessage", '"Deserialized.Microsoft.HyperV.PowerShell.VirtualMachine"'),
    ],
)
def test_value_of_another_kind_is_refused(given: Argument, error_id: str, words: str) -> None:
    error = refused("Set-VM", given)
    assert (error.error_id, error.parameter) == (error_id, given[0])
    assert words in error.message


@pytest.mark.parametrize("given", ["not-a-guid", 5, True, {"a": 1}, f"{GUID}0"])
def test_what_is_no_guid_is_refused(given: object) -> None:
    assert refused("Get-VM", ("Id", given)).error_id == "CannotConvertArgumentNoMessage"


def test_bytes_fill_a_mandatory_array() -> None:
    found = bind(made(parameter("It", "Byte[]", {ALL_SETS: REQUIRED})), [("It", b"ab")])
    assert found.described() == {"It": "Byte[Byte:97,Byte:98]"}


def test_script_functions_have_an_error_of_their_own() -> None:
    error = refused("Get-Disk", ("Number", "abc"))
    assert error.error_id == "ParameterArgumentTransformationError"
    assert refused("Mount-DiskImage", ("ImagePath", "x"), ("PassThru", "yes")).error_id == error.error_id


def test_script_blocks_do_not_come_out_of_text() -> None:
    assert refused("Invoke-Command", ("ScriptBlock", "1")).error_id == "CannotConvertArgumentNoMessage"
