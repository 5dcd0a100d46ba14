"""Names, sets, mandatory parameters and positions: each test names a rule of the engine, with the id of its refusal."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.hvsim.binder import Bound, bind
from tests.hvsim.calls import COPY, GUID, REQUIRED, VM, bound, made, parameter, refused
from tests.hvsim.contract import ALL_SETS, Contract, InSet, Parameter


def test_whole_name_is_taken_before_a_longer_one() -> None:
    assert bound("Add-VMDvdDrive", ("VMName", "a"), ("Path", "p")).values == {"VMName": ["a"], "Path": "p"}
    assert bound("Get-VMNetworkAdapter", ("VM", [VM]), ("Name", "n")).values == {"VM": [VM], "Name": "n"}


@pytest.mark.parametrize("name", ["name", "NAME", "-Name", "VMName", "vmname", "Na"])
def test_name_is_taken_in_any_case_as_alias_and_as_beginning(name: str) -> None:
    assert bound("Start-VM", (name, "a")).values == {"Name": ["a"]}


def test_beginning_that_fits_a_name_and_its_own_alias_is_not_ambiguous() -> None:
    target = made(Parameter("SwitchName", "String", {ALL_SETS: InSet()}, aliases=("SwitchLabel",)))
    assert bind(target, [("Switch", "a")]).values == {"SwitchName": "a"}


def test_documented_parameter_is_taken_before_common_ones() -> None:
    assert bound("Start-VM", ("Name", "a"), ("P", True)).values == {"Name": ["a"], "Passthru": True}
    assert bound("Set-VMFirmware", ("VMName", "a"), ("Con", "COM1")).values["ConsoleMode"] == "COM1"


@pytest.mark.parametrize(
    ("name", "value", "known"),
    [("Verb", True, "Verbose"), ("ea", "stop", "ErrorAction"), ("OutV", "x", "OutVariable"), ("wi", None, "WhatIf")],
)
def test_common_parameters_bind_too(name: str, value: object, known: str) -> None:
    assert known in bound("Start-VM", ("Name", "a"), (name, value)).values


def test_ambiguous_beginning_names_its_matches_in_the_engines_order() -> None:
    error = refused("Start-VM", ("Name", "a"), ("C", False))
    assert error.error_id == "AmbiguousParameter"
    assert error.message.endswith("Possible matches include: -CimSession -ComputerName -Credential -Confirm.")


def test_beginning_of_common_parameters_alone_is_ambiguous() -> None:
    error = refused("Get-VM", ("Error", "Stop"))
    assert (error.error_id, error.parameter) == ("AmbiguousParameter", "Error")
    assert error.message.endswith("include: -ErrorAction -ErrorVariable.")


def test_unknown_name_is_refused() -> None:
    error = refused("Get-VM", ("Bogus", "x"))
    assert (error.error_id, error.parameter, error.how) == ("NamedParameterNotFound", "Bogus", "failed")


def test_what_if_is_unknown_where_it_is_not_documented() -> None:
    assert refused("Get-VM", ("WhatIf", True)).error_id == "NamedParameterNotFound"


def test_parameter_of_another_version_is_unknown() -> None:
    old = Contract.load("2019").command("New-VM")
    assert old is not None
    assert refused(old, ("SourceGuestStatePath", "x")).error_id == "NamedParameterNotFound"
    assert bound("New-VM", ("SourceGuestStatePath", "x")).values == {"SourceGuestStatePath": "x"}


def test_parameter_given_twice_is_refused_under_the_name_it_came_with() -> None:
    error = refused("Start-VM", ("Name", "a"), ("VMNa", "b"))
    assert (error.error_id, error.parameter) == ("ParameterAlreadyBound", "VMNa")


def test_parameters_of_one_set_choose_it() -> None:
    found = bound("New-VHD", ("Path", "a"), ("ParentPath", "b"), ("Differencing", True))
    assert found.set == "Differencing"


def test_parameters_of_no_common_set_are_refused() -> None:
    error = refused("New-VHD", ("Path", "a"), ("ParentPath", "b"), ("Dynamic", True))
    assert (error.error_id, error.how) == ("AmbiguousParameterSet", "failed")


def test_default_set_is_taken_when_several_are_possible() -> None:
    assert bound("Get-VMSwitch").set == "Name"


def test_without_default_set_the_only_one_that_lacks_nothing_is_taken() -> None:
    target = made(parameter("A", sets={"One": InSet()}), parameter("B", sets={"Two": REQUIRED}))
    assert bind(target, []).set == "One"


@pytest.mark.parametrize("part", [InSet(), REQUIRED])
def test_without_default_set_two_alike_are_refused(part: InSet) -> None:
    target = made(parameter("A", sets={"One": part}), parameter("B", sets={"Two": part}))
    assert refused(target).error_id == "AmbiguousParameterSet"


def test_without_default_set_the_only_possible_one_that_lacks_nothing_is_taken() -> None:
    shared = parameter("Both", sets={"One": InSet(), "Two": InSet()})
    target = made(shared, parameter("A", sets={"One": InSet()}), parameter("B", sets={"Two": REQUIRED}))
    assert bind(target, [("Both", "x")]).set == "One"


def test_without_default_set_two_possible_ones_that_lack_nothing_are_refused() -> None:
    shared = parameter("Both", sets={"One": InSet(), "Two": InSet()})
    target = made(shared, parameter("A", sets={"One": InSet()}), parameter("B", sets={"Two": InSet()}))
    assert refused(target, ("Both", "x")).error_id == "AmbiguousParameterSet"


def test_sets_that_contradict_are_refused_before_an_argument_too_many() -> None:
    error = refused("Get-VHD", ("Path", "a"), ("VMId", GUID), (None, "x"), (None, "y"))
    assert error.error_id == "AmbiguousParameterSet"


def test_missing_mandatory_parameters_of_the_chosen_set_are_all_named() -> None:
    error = refused("Enable-VMReplication", ("VMName", "a"))
    assert error.error_id == "MissingMandatoryParameter"
    assert error.message.endswith("parameters: AuthenticationType ReplicaServerName ReplicaServerPort.")


def test_what_a_set_out_of_question_demands_is_not_missing() -> None:
    assert bound("Get-VMConnectAccess").set == "VMName"


@pytest.mark.parametrize(
    ("value", "error_id"),
    [
        (None, "ParameterArgumentValidationErrorNullNotAllowed"),
        ("", "ParameterArgumentValidationErrorEmptyStringNotAllowed"),
        (["a", ""], "ParameterArgumentValidationErrorEmptyStringNotAllowed"),
        (["a", None], "ParameterArgumentValidationErrorNullNotAllowed"),
        ([], "ParameterArgumentValidationErrorEmptyArrayNotAllowed"),
    ],
)
def test_mandatory_parameter_takes_nothing_empty(value: object, error_id: str) -> None:
    error = refused("Start-VM", ("Name", value))
    assert (error.error_id, error.parameter) == (error_id, "Name")


def test_mandatory_text_is_not_empty() -> None:
    assert refused("Merge-VHD", ("Path", "")).error_id == "ParameterArgumentValidationErrorEmptyStringNotAllowed"


@pytest.mark.parametrize(("value", "kept"), [("", [""]), (None, None), ([], [])])
def test_optional_parameter_takes_empty_values(value: object, kept: object) -> None:
    assert bound("Get-VM", ("ComputerName", value)).values == {"ComputerName": kept}


def test_null_is_described_without_its_type() -> None:
    assert bound("Get-VM", ("ComputerName", None)).described() == {"ComputerName": "null"}


def test_arguments_without_name_bind_by_position_after_the_named_ones() -> None:
    found = bound("Add-VMDvdDrive", (None, "a"), ("ControllerNumber", 1), (None, "2"))
    assert found.values == {"ControllerNumber": 1, "VMName": ["a"], "ControllerLocation": 2}


def test_argument_that_needs_no_coercion_chooses_a_set_that_is_not_default() -> None:
    assert bound("Add-VMDvdDrive", (None, VM)).values == {"VM": [VM]}


def test_default_set_is_tried_before_others_with_coercion() -> None:
    assert bound("Start-VM", (None, COPY)).values == {"Name": ["vm1"]}


def test_text_after_a_path_chooses_the_set_whose_place_takes_text_as_it_is() -> None:
    assert bound("New-VHD", (None, "a"), (None, "b")).set == "Differencing"
    assert bound("New-VHD", (None, "a"), (None, 7)).set == "DynamicWithoutSource"


def test_positions_of_sets_ruled_out_are_skipped() -> None:
    target = made(
        parameter("A", sets={"One": InSet(position=0)}),
        parameter("B", "Guid", {"Two": InSet(position=0)}),
        parameter("C", sets={"Two": InSet(position=1)}),
        parameter("D", sets={"One": InSet(position=2)}),
    )
    assert bind(target, [(None, "x"), (None, "y")]).values == {"A": "x", "D": "y"}


@pytest.mark.parametrize("kind", ["String", "String[]", "VirtualMachine", "VirtualMachine[]"])
def test_null_by_position_stays_null(kind: str) -> None:
    target = made(parameter("A", kind, {ALL_SETS: InSet(position=0)}))
    assert bind(target, [(None, None)]).values == {"A": None}


def test_argument_too_many_is_refused() -> None:
    error = refused("Mount-VHD", (None, "a"), (None, ["extra", "more"]))
    assert error.error_id == "PositionalParameterNotFound"
    assert error.message.endswith("accepts argument 'extra more'.")


def test_argument_that_fits_no_parameter_at_its_position_is_refused_for_the_last_reason() -> None:
    assert refused("Set-VMReplicationServer", (None, "CERTIFICATE")).error_id == "CannotConvertArgument"


def test_unknown_name_before_an_argument_is_reported_first() -> None:
    assert refused("Mount-VHD", ("Bogus", "x"), (None, "a")).error_id == "NamedParameterNotFound"
    assert refused("Mount-VHD", (None, "a"), (None, "b"), ("Bogus", "x")).error_id == "PositionalParameterNotFound"


def test_two_parameters_at_one_position_of_a_set_are_refused() -> None:
    place = {ALL_SETS: InSet(position=0)}
    target = made(parameter("A", sets=place), parameter("B", sets=place))
    assert refused(target, (None, "x")).error_id == "AmbiguousPositionalParameterNoName"


@pytest.mark.parametrize("bind_it", [lambda: bound("Get-VM"), lambda: bound("Get-VM", ("Name", "a"))])
def test_binding_one_call_leaves_nothing_for_the_next(bind_it: Callable[[], Bound]) -> None:
    assert bind_it() == bind_it()
