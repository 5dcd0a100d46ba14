"""Values out and in: what PSRP can carry arrives as it was, what it cannot is refused before anything is sent."""

from __future__ import annotations

import datetime
import decimal
import enum
import math
import pathlib
import uuid
from typing import Any
from xml.etree import ElementTree

import psrpcore
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psrpcore import types as ps

from pytest_hyperv.errors import HypervError
from pytest_hyperv.psrp.dotnet import Char, Credential, EnumValue, PSObject, ScriptText, Uri, Version, Xml
from pytest_hyperv.psrp.messages import Message, repaired_for_reading, repaired_for_sending
from pytest_hyperv.psrp.secret import Secret
from pytest_hyperv.psrp.values import UnsendableValue, from_wire, holds_secret, to_wire

HEAD = bytes(40)


def written(value: Any) -> str:
    """The CLIXML that leaves for a value."""
    element = ps.serialize(to_wire(value), psrpcore.PSRemotingCrypto())
    message = Message(1, 1, None, HEAD + ElementTree.tostring(element, encoding="utf-8"))
    return repaired_for_sending(message).raw.removeprefix(HEAD).decode()


def read(clixml: str) -> Any:
    """What a value comes in as."""
    raw = repaired_for_reading(Message(1, 1, None, HEAD + clixml.encode())).raw.removeprefix(HEAD)
    return from_wire(ps.deserialize(ElementTree.fromstring(raw), psrpcore.PSRemotingCrypto()))


def travelled(value: Any) -> Any:
    return read(written(value))


_EXACT = decimal.Context(prec=40)
texts = st.text(st.characters(exclude_categories=()), max_size=20)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    texts,
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False),
    st.builds(
        lambda digits, places: decimal.Decimal(digits).scaleb(-places, _EXACT),
        st.integers(1 - 2**96, 2**96 - 1),
        st.integers(0, 28),
    ),
    st.binary(max_size=50),
    st.uuids(),
    st.timedeltas(datetime.timedelta(days=-10_000_000), datetime.timedelta(days=10_000_000)),
    st.datetimes(
        timezones=st.one_of(
            st.none(), st.just(datetime.UTC), st.just(datetime.timezone(datetime.timedelta(hours=-9.5)))
        )
    ),
    st.builds(Version, st.integers(0, 9), st.integers(0, 9), st.integers(0, 9), st.integers(-1, 9)),
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=5) | st.integers(0, 9), inner, max_size=4)
    ),
    max_leaves=8,
)


@given(values)
def test_values_arrive_as_they_were(value: Any) -> None:
    arrived = travelled(value)
    assert arrived == value
    assert type(arrived) is type(value)


@pytest.mark.parametrize(
    ("value", "clixml"),
    [
        (2**31 - 1, "<I32>2147483647</I32>"),
        (-(2**31) - 1, "<I64>-2147483649</I64>"),
        (2**31, "<I64>2147483648</I64>"),
        (2**63, "<U64>9223372036854775808</U64>"),
        (True, "<B>true</B>"),
        (0.1, "<Db>0.1</Db>"),
        (math.nan, "<Db>NaN</Db>"),
        (-math.inf, "<Db>-INF</Db>"),
        (decimal.Decimal("0.00000001"), "<D>0.00000001</D>"),
        (decimal.Decimal("1E+5"), "<D>100000</D>"),
        (datetime.timedelta(seconds=10), "<TS>P0DT10.0000000S</TS>"),
        (datetime.timedelta(days=-1, microseconds=1), "<TS>-P0DT86399.9999990S</TS>"),
        (datetime.datetime(1, 2, 3), "<DT>0001-02-03T00:00:00.000000</DT>"),
        (datetime.date(2026, 1, 2), "<DT>2026-01-02T00:00:00.000000</DT>"),
        (datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC), "<DT>2026-01-02T00:00:00.000000Z</DT>"),
        ("\0\ud900\uffff_x0041_\U0001f600", "<S>_x0000__xD900__xFFFF__x005F_x0041__xD83D__xDE00_</S>"),
        (Uri("http://a/b?c"), "<URI>http://a/b?c</URI>"),
        (Xml("<a/>"), "<XD>&lt;a/&gt;</XD>"),
        (Char("A"), "<C>65</C>"),
        (Version(1, 2), "<Version>1.2</Version>"),
        (pathlib.PurePosixPath("/a/b"), "<S>/a/b</S>"),
        (memoryview(b"\1\2"), "<BA>AQI=</BA>"),
        (range(2), '<Obj RefId="0"><TN RefId="0"><T>System.Collections.ArrayList</T><T>System.Object</T></TN>'
                   "<LST><I32>0</I32><I32>1</I32></LST></Obj>"),
    ],
)  # fmt: skip
def test_values_leave_as_the_element_that_holds_them(value: Any, clixml: str) -> None:
    assert written(value) == clixml


class Colour(enum.Enum):
    RED = "red"


class Bits(enum.IntFlag):
    ONE = 1
    TWO = 2


def test_a_python_enum_leaves_as_its_value() -> None:
    assert travelled([Colour.RED, Bits.ONE | Bits.TWO]) == ["red", 3]


def test_a_property_bag_goes_both_ways_with_objects_inside() -> None:
    bag = PSObject.of(Name="a", Inner=PSObject.of(List=[1, {"k": None}]))
    arrived = travelled(bag)
    assert (arrived.Name, arrived.Inner.List) == ("a", [1, {"k": None}])


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (2**64, "outside int64 and uint64"),
        (-(2**63) - 1, "outside int64 and uint64"),
        (ScriptText("1 + 1"), "ScriptBlock cannot be a parameter"),
        (ps.PSScriptBlock("1 + 1"), "ScriptBlock cannot be a parameter"),
        (decimal.Decimal(2**96), "decimal"),
        (decimal.Decimal("1e-29"), "decimal"),
        (decimal.Decimal("NaN"), "decimal"),
        (datetime.timedelta.max, "longer than a TimeSpan"),
        (object(), "type builtins.object cannot be sent"),
        (1j, "type builtins.complex cannot be sent"),
        ({None: 1}, "dictionary key"),
        ({True: 1}, "dictionary key"),
    ],
)
def test_what_the_other_side_could_not_decode_is_refused(value: Any, reason: str) -> None:
    for refused in (value, [value], {"k": value}, PSObject.of(P=value)):
        with pytest.raises(UnsendableValue, match=reason) as raised:
            to_wire(refused)
        assert isinstance(raised.value, HypervError)


def test_endless_nesting_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(UnsendableValue, match="deeper than 40"):
        to_wire(endless)


def test_an_enum_comes_in_with_its_number_and_its_name() -> None:
    state = read(
        '<Obj RefId="0"><TN RefId="0"><T>Deserialized.Microsoft.HyperV.PowerShell.VMState</T><T>System.Enum</T></TN>'
        "<ToString>Running</ToString><I32>2</I32></Obj>"
    )
    assert isinstance(state, EnumValue)
    assert (int(state), state.name, state.type_name) == (2, "Running", "Microsoft.HyperV.PowerShell.VMState")
    assert state == 2
    assert state == "running"
    assert state != "Off"
    assert travelled(state) == 2


def test_the_properties_that_remoting_adds_are_taken_off() -> None:
    added = (
        '<S N="PSComputerName">g</S><G N="RunspaceId">c298117a-124a-40b3-b6f2-364bc0ddcddf</G>'
        '<B N="PSShowComputerName">true</B>'
    )
    assert read(f'<Obj RefId="0"><S>text</S><MS>{added}</MS></Obj>') == "text"
    assert read(f'<Obj RefId="0"><I32>42</I32><MS>{added}</MS></Obj>') == 42
    assert dict(read(f'<Obj RefId="0"><MS><I32 N="A">1</I32>{added}</MS></Obj>').properties) == {"A": 1}


def test_a_property_bag_reads_as_powershell_does() -> None:
    bag = PSObject({"Name": "a", "Id": 1}, type_names=("System.Thing", "System.Object"), text="a!")
    assert (bag.Name, bag.name, bag["ID"], bag.get("Nope", 5), str(bag)) == ("a", "a", 1, 5, "a!")
    assert "ID" in bag
    assert bag.is_a("System.Thing")
    assert not bag.is_a("System.Other")
    with pytest.raises(AttributeError, match="has no property Nope; its properties are: Name, Id"):
        _ = bag.Nope
    with pytest.raises(AttributeError, match="cannot be changed"):
        bag.Name = "b"


def test_versions_compare_as_dotnet_does() -> None:
    assert Version.parse("10.0.26100") > Version.parse("10.0.9") > Version(10, 0)
    assert str(Version.parse("1.2.3.4")) == "1.2.3.4"
    with pytest.raises(ValueError, match="2 to 4 parts"):
        Version.parse("1")


def test_a_secret_shows_in_no_repr() -> None:
    secret = Secret("hunter2")
    assert "hunter2" not in repr([secret, Credential("me", secret)])
    assert secret.reveal() == "hunter2"


def test_secrets_are_found_wherever_they_are() -> None:
    secret = Secret("x")
    for holder in (secret, Credential("u", secret), [1, [secret]], {"k": secret}, PSObject.of(P=secret)):
        assert holds_secret(holder)
    assert not holds_secret([1, "x", {"k": None}])


@pytest.mark.parametrize("kind", [ps.PSQueue, ps.PSStack])
def test_queues_and_stacks_come_in_as_lists(kind: Any) -> None:
    collection = kind()
    for number in (1, 2):
        collection.put(number) if kind is ps.PSQueue else collection.append(number)
    element = ps.serialize(collection, psrpcore.PSRemotingCrypto())
    assert read(ElementTree.tostring(element, encoding="unicode")) == [1, 2]


def test_a_guid_is_a_uuid() -> None:
    arrived = read("<G>0e2a9f9c-6f0d-4d0e-9a58-5f5c2f5f6b11</G>")
    assert arrived == uuid.UUID("0e2a9f9c-6f0d-4d0e-9a58-5f5c2f5f6b11")
    assert type(arrived) is uuid.UUID
