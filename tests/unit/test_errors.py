"""Every error of the tree: its text, its hint, its fields, and that it survives the way between processes."""

from __future__ import annotations

import inspect
import pickle
from typing import Any

import pytest

from pytest_hyperv import errors
from pytest_hyperv.errors import HypervError

CLASSES = [each for _, each in inspect.getmembers(errors, inspect.isclass) if issubclass(each, HypervError)]
FIELDS: dict[str, Any] = {
    "missing": {"tpm": "swtpm is not installed"},
    "image": "debian-12",
    "state": "560e0449",
    "host": "server-1",
    "command": "Get-VM",
    "error_id": "ObjectNotFound",
    "category": "InvalidArgument",
    "target": "vm-1",
    "position": "line 1",
    "stack": "at <ScriptBlock>",
    "machine": "hyperv-1234",
    "kind": "panic",
    "text": "Kernel panic",
    "result": ("any", "object"),
    "timeout": 2.5,
    "stdout": b"out\xff",
    "stderr": b"err",
    "path": "/srv/x",
}


def fields_of(error: type[HypervError]) -> dict[str, Any]:
    """A value for every keyword that the class takes beside the hint."""
    names = [name for name in inspect.signature(error).parameters if name not in ("message", "hint")]
    return {name: FIELDS[name] for name in names}


def test_the_tree_is_the_documented_one() -> None:
    tree = {each.__name__: each.__bases__[0].__name__ for each in CLASSES}
    assert tree == {
        "HypervError": "Exception",
        "SettingsError": "HypervError",
        "MarkerError": "HypervError",
        "CapabilityMissing": "HypervError",
        "ImageError": "HypervError",
        "StateError": "HypervError",
        "HostError": "HypervError",
        "HostUnreachable": "HostError",
        "AccessDenied": "HostError",
        "CmdletError": "HostError",
        "MachineError": "HypervError",
        "MachineStateError": "MachineError",
        "BootTimeout": "MachineError",
        "GuestCrashed": "MachineError",
        "GuestError": "HypervError",
        "CommandFailed": "GuestError",
        "CommandTimeout": "GuestError",
        "SessionLost": "GuestError",
        "CopyError": "GuestError",
        "PoolError": "HypervError",
        "NoRoom": "PoolError",
        "LeaseLost": "PoolError",
    }


@pytest.mark.parametrize("kind", CLASSES)
def test_an_error_tells_what_happened_and_what_to_do(kind: type[HypervError]) -> None:
    fields = fields_of(kind)
    error = kind("vm-1 is off", hint="start it.", **fields)
    assert str(error) == "vm-1 is off\nHint: start it."
    assert str(kind("vm-1 is off", **fields)) == "vm-1 is off"
    assert (error.message, error.hint, error.args) == ("vm-1 is off", "start it.", ("vm-1 is off",))
    assert {name: getattr(error, name) for name in fields} == fields


@pytest.mark.parametrize("kind", CLASSES)
def test_an_error_is_whole_without_any_field(kind: type[HypervError]) -> None:
    error = kind("it failed")
    assert str(error) == "it failed"
    assert all(hasattr(error, name) for name in fields_of(kind))


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_an_error_keeps_everything_from_process_to_process(kind: type[HypervError], protocol: int) -> None:
    error = kind("vm-1 is off", hint="start it.", **fields_of(kind))
    came = pickle.loads(pickle.dumps(error, protocol))
    assert type(came) is kind
    assert str(came) == str(error)
    assert vars(came) == vars(error)


def test_what_is_missing_is_a_copy() -> None:
    missing = {"tpm": "none"}
    error = errors.CapabilityMissing("no", missing=missing)
    missing.clear()
    assert error.missing == {"tpm": "none"}
