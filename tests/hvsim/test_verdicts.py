"""The binder against PowerShell's own: a kept sample everywhere, all recorded verdicts where they are at hand."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from tests.hvsim.binder import NetObject, Version
from tests.hvsim.make_contract import CONTRACTS
from tests.hvsim.verdicts import compare, input_of, main, read_cases, value_of

SAMPLE = Path(__file__).with_name("verdict_sample.json")
RECORDED = CONTRACTS / "binding-verdicts.json"
KINDS = {"valid", "missing", "mixed", "unknown", "prefix", "alias", "case", "wrong", "positional", "twice", "piped"}


def recorded() -> Path:
    if not RECORDED.is_file():
        pytest.skip(f"{RECORDED.name} is not beside the checkout: only the kept sample is compared")
    return RECORDED


def disagreements(path: Path) -> list[str]:
    return [str(one) for one in compare(read_cases(path)) if not one.agrees]


def test_sample_agrees() -> None:
    assert disagreements(SAMPLE) == []


def test_sample_has_every_kind_and_every_recorded_error() -> None:
    cases = read_cases(SAMPLE)
    errors = {case["verdict"]["error"].partition(",")[0] for case in cases if "error" in case["verdict"]}
    assert {case["kind"] for case in cases} == KINDS
    assert errors == {
        "AmbiguousParameter",
        "AmbiguousParameterSet",
        "CannotConvertArgument",
        "CannotConvertArgumentNoMessage",
        "InputObjectNotBound",
        "MissingMandatoryParameter",
        "NamedParameterNotFound",
        "ParameterAlreadyBound",
        "ParameterArgumentValidationErrorNullNotAllowed",
        "PositionalParameterNotFound",
    }


def test_sample_is_part_of_the_recording() -> None:
    everything = [json.dumps(case, sort_keys=True) for case in read_cases(recorded())]
    assert all(json.dumps(case, sort_keys=True) in everything for case in read_cases(SAMPLE))


def test_all_recorded_verdicts_agree() -> None:
    assert disagreements(recorded()) == []


def test_all_recorded_messages_are_the_same() -> None:
    errors = [one for one in compare(read_cases(recorded())) if one.recorded.error]
    assert [str(one) for one in errors if not one.same_message] == []


def test_a_wrong_verdict_is_shown_and_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cases = read_cases(SAMPLE)[:20]
    for case in cases[:12]:
        case["verdict"] = {"set": "Imagined", "bound": {}}
    path = tmp_path / "verdicts.json"
    path.write_text(json.dumps({"cases": cases}), encoding="utf-8")
    assert main([str(path)]) == 1
    shown = capsys.readouterr().out
    assert "agree 8 of 20" in shown
    assert shown.count("recorded Imagined") == 10
    assert main([str(path), "--all"]) == 1
    assert capsys.readouterr().out.count("recorded Imagined") == 12


def test_agreement_is_a_success(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(SAMPLE), "--version", "2025"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    total = len(read_cases(SAMPLE))
    assert lines[0] == f"agree {total} of {total}"
    assert lines[1].startswith("messages equal: ")


def test_a_message_alone_does_not_disagree(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = next(case for case in read_cases(SAMPLE) if "error" in case["verdict"])
    case["verdict"]["message"] = "Something else."
    path = tmp_path / "verdicts.json"
    path.write_text(json.dumps({"cases": [case]}), encoding="utf-8")
    assert main([str(path)]) == 0
    assert "messages equal: 0 of 1" in capsys.readouterr().out


def test_a_cmdlet_that_the_version_lacks_is_named() -> None:
    case = {"kind": "valid", "cmdlet": "Add-VMGpuPartitionAdapter", "args": [], "verdict": {"set": "VMName"}}
    with pytest.raises(LookupError, match="2019 has no Add-VMGpuPartitionAdapter"):
        list(compare([case], "2019"))


@pytest.mark.parametrize(
    ("recorded_value", "value"),
    [
        ({"guid": "0e2a9f9c-6f0d-4d0e-9a58-5f5c2f5f6b11"}, UUID("0e2a9f9c-6f0d-4d0e-9a58-5f5c2f5f6b11")),
        ({"i64": 5}, 5),
        ({"u64": 2**63}, 2**63),
        ({"bytes": "01ff"}, b"\x01\xff"),
        ({"ts": 1.5}, timedelta(seconds=1.5)),
        ({"float": 0.5}, 0.5),
        ({"version": "9.0"}, Version((9, 0))),
        ([{"map": {"a": {"i64": 1}}}, None], [{"a": 1}, None]),
    ],
)
def test_recorded_values_are_read(recorded_value: object, value: object) -> None:
    assert value_of(recorded_value) == value


def test_recorded_objects_are_of_the_class_they_name() -> None:
    piped = input_of({"input": {"type": "VirtualMachine"}})
    assert isinstance(piped, NetObject)
    assert piped.type_names[0] == "Microsoft.HyperV.PowerShell.VirtualMachine"
    assert str(value_of({"object": 0})) == ""


def test_a_value_of_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="no value of kind 'colour'"):
        value_of({"colour": "red"})
