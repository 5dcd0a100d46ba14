"""Values on the wire: what the engine writes is what psrpcore, and the package's client, read."""

from __future__ import annotations

import datetime
import decimal
import math
import uuid
from typing import Any
from xml.etree import ElementTree

import psrpcore
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psrpcore import types as ps

from pytest_hyperv.psrp.values import from_wire, to_wire
from tests.hvsim.engine.clixml import serialize
from tests.hvsim.engine.received import received
from tests.hvsim.engine.values import (
    Byte,
    Credential,
    EnumValue,
    Int64,
    Noted,
    SecureString,
    UInt16,
    UInt32,
    UInt64,
    custom_object,
    version,
)
from tests.hvsim.values import NetObject

MACHINE = "Microsoft.HyperV.PowerShell.VirtualMachine"


class Wire:
    """A session's key on both sides, without a session."""

    def __init__(self) -> None:
        self.pool = psrpcore.ServerRunspacePool()

    def encrypt(self, secret: str) -> str:
        return str(ps.PSSecureString.ToPSObjectForRemoting(ps.PSSecureString(secret), cipher=self.pool._cipher))

    def read(self, body: bytes) -> Any:
        """What psrpcore's client makes of a message."""
        element = ElementTree.fromstring(body)
        return psrpcore.types.deserialize(element, cipher=self.pool._cipher)


def seen(value: object) -> Any:
    """The value as the package's client sees it."""
    wire = Wire()
    return from_wire(wire.read(serialize(value, wire.encrypt)))


PLAIN = [
    None,
    True,
    "",
    "a\tb\r\n",
    "_x0041_ ä 😀 \ud800",
    0,
    -(2**31),
    2**31,
    2**63,
    1.5,
    math.inf,
    decimal.Decimal("1.10"),
    b"\x00\xff",
    uuid.UUID(int=5),
    datetime.timedelta(days=-1, seconds=10, microseconds=1),
    datetime.datetime(2026, 1, 2, 3, 4, 5, 6, datetime.UTC),
    datetime.datetime(2026, 1, 2, 3, 4, 5),
    [1, [2, "x"]],
    {"a": 1, "b": {"c": None}},
]


@pytest.mark.parametrize("value", PLAIN, ids=repr)
def test_plain_values_arrive_as_they_are(value: object) -> None:
    assert seen(value) == value


@given(st.text())
def test_every_text_arrives_as_it_is(text: str) -> None:
    assert seen(text) == text


@given(st.timedeltas())
def test_every_duration_arrives_as_it_is(value: datetime.timedelta) -> None:
    assert seen(value) == value


@pytest.mark.parametrize(
    ("value", "element"),
    [
        (1, "<I32>1</I32>"),
        (2**40, "<I64>1099511627776</I64>"),
        (Int64(1), "<I64>1</I64>"),
        (UInt64(1), "<U64>1</U64>"),
        (UInt32(1), "<U32>1</U32>"),
        (UInt16(1), "<U16>1</U16>"),
        (Byte(1), "<By>1</By>"),
        (math.nan, "<Db>NaN</Db>"),
        (version("10.0.1"), "<Version>10.0.1</Version>"),
    ],
)
def test_numbers_keep_their_width(value: object, element: str) -> None:
    assert serialize(value, str).decode("utf-8-sig") == element


def test_an_enum_is_its_number_and_its_name_and_its_class() -> None:
    state = seen(EnumValue("Microsoft.HyperV.PowerShell.VMState", "Running", 2))
    assert (int(state), state.name, state.type_name) == (2, "Running", "Microsoft.HyperV.PowerShell.VMState")


def test_an_object_of_a_class_is_a_copy_with_its_properties() -> None:
    machine = seen(NetObject((MACHINE, "System.Object"), {"Name": "a", "State": EnumValue("X", "Off", 3)}, "machine a"))
    assert machine.is_a(MACHINE)
    assert (machine.Name, machine.State, str(machine)) == ("a", "Off", "machine a")


def test_a_property_bag_says_what_it_was_taken_from() -> None:
    bag = seen(custom_object({"Name": "a"}, selected_from=MACHINE))
    assert bag.is_a(f"Selected.{MACHINE}")
    assert bag.Name == "a"


def test_objects_two_levels_down_are_their_texts() -> None:
    inner = NetObject(("Inner",), {"deepest": NetObject(("Deepest",), {"x": 1}, "the deepest")})
    outer = NetObject(("Outer",), {"inner": inner})
    assert seen(outer).inner.deepest == "the deepest"


def test_notes_go_with_any_value() -> None:
    wire = Wire()
    text = serialize(Noted("x", {"PSComputerName": "vm"}), wire.encrypt)
    assert wire.read(text) == "x"
    assert wire.read(text).PSComputerName == "vm"
    assert seen(Noted(custom_object({"a": 1}), {"PSComputerName": "vm"})).properties == {"a": 1}


def test_secrets_travel_encrypted() -> None:
    wire = Wire()
    body = serialize([SecureString.of("geheim"), Credential.of("me", "geheim")], wire.encrypt)
    assert b"geheim" not in body
    secret, credential = (received(value) for value in wire.read(body))
    assert isinstance(secret, SecureString)
    assert isinstance(credential, Credential)
    assert (secret.secret, credential.user, credential.password) == ("geheim", "me", "geheim")
    assert "geheim" not in repr([secret, credential])


def test_what_the_client_sends_becomes_plain_values() -> None:
    sent = {"n": 5, "big": 2**40, "f": 0.5, "list": [True, None, "x"], "id": uuid.UUID(int=7), "data": b"ab"}
    wire = Wire()
    decoded = psrpcore.types.deserialize(
        psrpcore.types.serialize(to_wire(sent), cipher=wire.pool._cipher), cipher=wire.pool._cipher
    )
    assert received(decoded) == sent


def test_a_value_that_cannot_travel_is_refused() -> None:
    with pytest.raises(TypeError, match="cannot be sent"):
        serialize(object(), str)
