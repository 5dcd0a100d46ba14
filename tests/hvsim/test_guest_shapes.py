"""Records of a session inside a session have the classes and the properties that the vendor's engine gave them."""

from __future__ import annotations

from pathlib import Path

import psrpcore
import pytest

from pytest_hyperv.psrp.dotnet import PSObject
from pytest_hyperv.psrp.values import from_wire
from tests.hvsim.guest.trial import make_trial
from tests.psrp.recording import Recording

RECORDING = Path(__file__).parents[1] / "psrp" / "recordings" / "nested-session.jsonl"
SCRIPT = """
Write-Warning w; Write-Error e; Write-Verbose v -Verbose; Write-Debug d -Debug; Write-Information i; Write-Host h
"""
NOT_TOLD = {"TargetSite", "Data", "HelpLink", "Source", "StackTrace"}
"""Properties of an exception that nobody reads."""
KINDS = ("WarningRecord", "ErrorRecord", "VerboseRecord", "DebugRecord", "InformationRecord", "InformationRecord")


def is_record(value: object) -> bool:
    """Whether a value is a record of another stream than the output."""
    return isinstance(value, PSObject) and value.type_names[0].endswith("Record")


@pytest.fixture(scope="module")
def recorded() -> list[PSObject]:
    """The records of the pipeline that wrote to every stream and merged them."""
    outputs = [
        [from_wire(event.data) for event in talk.events if isinstance(event, psrpcore.PipelineOutputEvent)]
        for talk in Recording(RECORDING).pipelines
    ]
    return next([each for each in output if is_record(each)] for output in outputs if any(map(is_record, output)))


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> list[PSObject]:
    """The records of the simulated guest for the same commands."""
    with make_trial(tmp_path_factory.mktemp("host")).guest() as guest:
        return [value for value in guest.outer(SCRIPT).output if is_record(value)]


@pytest.mark.parametrize("place", range(len(KINDS)), ids=[f"{at} {kind}" for at, kind in enumerate(KINDS)])
def test_a_record_has_the_shape_of_the_recorded_one(
    recorded: list[PSObject], simulated: list[PSObject], place: int
) -> None:
    theirs, ours = recorded[place], simulated[place]
    assert theirs.type_names[0].endswith(KINDS[place])
    assert ours.type_names == theirs.type_names
    assert ours.text == theirs.text
    assert set(ours) == set(theirs)
    for name in ours:
        assert type(ours[name]) is type(theirs[name]), name


def test_an_error_tells_of_itself_as_the_recorded_one_does(recorded: list[PSObject], simulated: list[PSObject]) -> None:
    theirs, ours = recorded[1], simulated[1]
    told = [name for name in theirs if name.startswith("ErrorCategory_")]
    assert {name: ours[name] for name in told} == {name: theirs[name] for name in told}
    assert ours.FullyQualifiedErrorId == theirs.FullyQualifiedErrorId
    assert ours.Exception.type_names == theirs.Exception.type_names
    assert set(theirs.Exception) - set(ours.Exception) <= NOT_TOLD
    assert ours.Exception.Message == theirs.Exception.Message
