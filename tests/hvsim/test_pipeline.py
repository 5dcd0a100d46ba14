"""Objects from the pipeline: which parameter takes them, in which order of tries, and what is their error alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from uuid import UUID

import pytest

from tests.hvsim.binder import Call, NetObject, bind
from tests.hvsim.calls import COPY, GUID, REQUIRED, VM, bound, command, made, parameter, refused
from tests.hvsim.contract import ALL_SETS, InSet, Parameter


def test_object_binds_by_value_to_the_set_that_takes_its_class() -> None:
    found = bound("Start-VM", ("Passthru", True), piped=VM)
    assert (found.set, found.values) == ("VMObject", {"Passthru": True, "VM": [VM]})


def test_base_class_counts_and_a_deserialised_copy_does_not() -> None:
    target = made(parameter("Base", "VirtualMachineBase", by_value=True))
    assert bind(target, [], piped=VM).values == {"Base": VM}
    assert refused(target, piped=COPY).error_id == "InputObjectNotBound"


def test_any_object_binds_as_text_where_text_is_taken_by_value() -> None:
    assert bound("Suspend-VM", piped=COPY).values == {"Name": ["vm1"]}
    assert bound("Suspend-VM", piped=5).values == {"Name": ["5"]}


def test_object_without_coercion_goes_before_the_default_set_with_it() -> None:
    target = made(
        parameter("Text", "String", {"Text": REQUIRED}, by_value=True),
        parameter("Number", "Int32", {"Number": REQUIRED}, by_value=True),
        default="Text",
    )
    assert bind(target, [], piped=5).values == {"Number": 5}
    assert bind(target, [], piped=0.5).values == {"Text": "0.5"}


def test_property_without_coercion_goes_before_value_with_it() -> None:
    target = made(parameter("Text", by_value=True), parameter("Name", by_name=True))
    item = NetObject(("Some.Class",), {"name": "n"}, "t")
    assert bind(target, [], piped=item).values == {"Name": "n", "Text": "t"}
    one_set = made(
        parameter("Text", sets={"A": REQUIRED}, by_value=True), parameter("Name", sets={"B": REQUIRED}, by_name=True)
    )
    assert bind(one_set, [], piped=item).values == {"Name": "n"}


def test_property_of_an_aliass_name_binds_and_one_of_the_parameters_own_goes_before_it() -> None:
    target = made(Parameter("Id", "Guid", {ALL_SETS: InSet()}, aliases=("VMId",), by_property_name=True))
    other = UUID("7d1f2b7e-1b55-4f0b-8d0e-1a2b3c4d5e6f")
    assert bind(target, [], piped=NetObject(("C",), {"vmid": GUID})).values == {"Id": UUID(GUID)}
    assert bind(target, [], piped=NetObject(("C",), {"VMId": GUID, "Id": other})).values == {"Id": other}


def test_set_that_the_caller_cannot_complete_is_dropped_for_one_the_pipeline_can() -> None:
    assert bound("Rename-VMSwitch", ("NewName", "a"), piped="vm1").values == {"NewName": "a", "Name": "vm1"}


def test_text_has_its_length_as_a_property() -> None:
    target = made(parameter("Length", "Int32", by_name=True))
    assert bind(target, [], piped="four").values == {"Length": 4}
    assert refused(made(parameter("Size", "Int32", by_name=True)), piped="four").error_id == "InputObjectNotBound"


def test_value_that_a_functions_parameter_cannot_transform_is_left_to_the_others() -> None:
    target = replace(made(parameter("Id", "Guid", by_value=True)), class_name="Test-It")
    assert refused(target, piped="x").error_id == "InputObjectNotBound"
    by_name = replace(made(parameter("Id", "Guid", by_name=True)), class_name="Test-It")
    error = refused(by_name, piped=NetObject(("C",), {"Id": "x"}))
    assert (error.error_id, error.how) == ("ParameterArgumentTransformationError", "error")


def test_sets_that_take_nothing_from_the_pipeline_are_dropped_first() -> None:
    target = made(
        parameter("Key", sets={"One": REQUIRED}),
        parameter("Lock", sets={"Two": REQUIRED}),
        parameter("Item", sets={"Two": InSet()}, by_value=True),
        default="One",
    )
    assert refused(target, piped="x").message.endswith(": Lock.")


def test_default_set_that_waits_for_a_property_is_kept_when_no_other_does() -> None:
    target = made(
        parameter("Name", sets={"One": REQUIRED}, by_name=True),
        parameter("Item", sets={"Two": REQUIRED}, by_value=True),
        default="One",
    )
    assert bind(target, [], piped=NetObject(("C",), {"Name": "n"})).values == {"Name": "n"}
    assert refused(target, piped="x").error_id == "InputObjectNotBound"


NOW = datetime(2024, 5, 6)
EVERY_DATE = parameter("Date", "DateTime", {ALL_SETS: REQUIRED}, by_value=True)
NETWORK = parameter("Network", "TimeSpan", {"network": REQUIRED}, by_value=True)
COMPUTER = (
    parameter("ComputerName", "String[]", {"computer": InSet()}, by_name=True),
    parameter("DisableComputer", "SwitchParameter", {"computer": REQUIRED}),
)


def test_set_with_only_the_common_demands_is_kept_beside_one_the_pipeline_could_serve() -> None:
    target = made(
        EVERY_DATE,
        parameter("ComputerName", sets={"computer": InSet(), "session": InSet()}),
        parameter("Span", "TimeSpan", {"session": REQUIRED}, by_value=True),
    )
    assert bind(target, [], piped=NOW).set == "computer"


def test_default_set_with_only_the_common_demands_is_kept_too() -> None:
    target = made(
        parameter("NewName", sets={"new": InSet()}),
        EVERY_DATE,
        parameter("ComputerName", sets={"computer": InSet(), "session": InSet()}),
        parameter("Span", "TimeSpan", {"session": REQUIRED}, by_value=True),
        default="computer",
    )
    assert bind(target, [], piped=NOW).set == "computer"


def test_set_without_demands_is_kept_beside_those_the_caller_would_have_to_complete() -> None:
    session = parameter("Date", "DateTime", {"session": InSet()}, by_value=True)
    assert bind(made(NETWORK, *COMPUTER, session), [], piped=NOW).set == "session"


def test_default_set_without_demands_is_kept_beside_those_the_caller_would_have_to_complete() -> None:
    target = made(
        NETWORK,
        *COMPUTER,
        parameter("Param", sets={"session": InSet(), "server": InSet()}),
        parameter("Date", "DateTime", by_value=True),
        default="server",
    )
    assert bind(target, [], piped=NOW).set == "server"


def test_default_set_that_the_caller_must_complete_is_taken_when_no_other_lives_on_the_pipeline() -> None:
    target = made(
        parameter("Key", sets={"One": REQUIRED}),
        parameter("Lock", sets={"Two": REQUIRED}),
        parameter("Item", by_value=True),
        default="One",
    )
    error = refused(target, piped="x")
    assert (error.error_id, error.how) == ("MissingMandatoryParameter", "failed")
    assert error.message.endswith(": Key.")


def test_default_set_is_given_up_for_one_that_lives_on_the_pipeline() -> None:
    target = made(
        parameter("Key", sets={"One": REQUIRED}),
        parameter("Item", sets={"Two": REQUIRED}, by_value=True),
        default="One",
    )
    assert bind(target, [], piped="x").set == "Two"


def test_default_set_without_demands_is_tried_first_and_the_others_that_have_none_after_it() -> None:
    dated = parameter("Date", "DateTime", {"Dated": InSet()}, by_value=True)
    keyed = (
        parameter("Key", sets={"Keyed": REQUIRED}),
        parameter("Id", "Guid", {"Keyed": InSet()}, by_value=True),
    )
    text = parameter("Text", sets={"Plain": InSet()}, by_value=True)
    found = bind(made(text, dated, *keyed, default="Plain"), [], piped=NOW)
    assert found.values == {"Text": "05/06/2024 00:00:00"}
    number = parameter("Number", "Int32", {"Plain": InSet()}, by_value=True)
    assert bind(made(number, dated, *keyed, default="Plain"), [], piped=NOW).set == "Dated"


def test_of_sets_the_caller_would_have_to_complete_the_one_that_takes_values_is_asked_for() -> None:
    shared = parameter("Both", sets={"One": InSet(), "Two": InSet()})
    target = made(
        shared,
        parameter("Key", sets={"One": REQUIRED}),
        parameter("Item", sets={"One": REQUIRED}, by_value=True),
        parameter("Name", sets={"Two": REQUIRED}, by_name=True),
        parameter("Lock", sets={"Two": REQUIRED}),
    )
    assert refused(target, ("Both", "b"), piped="x").message.endswith(": Key.")


def test_sets_that_only_the_caller_can_complete_are_ambiguous_without_a_default() -> None:
    target = made(
        parameter("Both", sets={"One": InSet(), "Two": InSet()}, by_value=True),
        parameter("Other", sets={"One": InSet(), "Two": InSet()}),
        parameter("Key", sets={"One": REQUIRED}),
        parameter("Lock", sets={"Two": REQUIRED}),
    )
    error = refused(target, ("Other", "b"), piped="x")
    assert (error.error_id, error.how) == ("AmbiguousParameterSet", "failed")


def test_of_several_sets_that_take_values_those_the_caller_must_complete_are_dropped() -> None:
    target = made(
        parameter("Both", sets={"One": InSet(), "Two": InSet(), "Three": InSet()}),
        parameter("Number", "Int32", {"One": REQUIRED}, by_value=True),
        parameter("Key", sets={"One": REQUIRED}),
        parameter("Text", sets={"Two": REQUIRED}, by_value=True),
        parameter("Date", "DateTime", {"Three": REQUIRED}, by_value=True),
    )
    assert bind(target, [("Both", "b")], piped="x").set == "Two"
    assert bind(target, [("Both", "b")], piped=NOW).set == "Three"


def test_object_that_nothing_takes_is_an_error_of_the_object() -> None:
    error = refused("Get-VMSwitch", piped="vm1")
    assert (error.error_id, error.how) == ("InputObjectNotBound", "error")


def test_object_after_which_a_mandatory_parameter_is_missing_is_an_error_of_the_object() -> None:
    target = made(
        parameter("A", sets={ALL_SETS: REQUIRED}, by_name=True), parameter("B", sets={ALL_SETS: REQUIRED}, by_name=True)
    )
    error = refused(target, piped=NetObject(("C",), {"A": "x"}))
    assert (error.error_id, error.how) == ("InputObjectMissingMandatory", "error")
    assert error.message.endswith(" B")


def test_object_that_fits_two_sets_at_once_is_an_error_of_the_object() -> None:
    target = made(
        parameter("A", "Guid", {"One": REQUIRED, "Default": InSet()}, by_value=True),
        parameter("B", "Guid", {"Two": REQUIRED}, by_value=True),
    )
    error = refused(target, piped=UUID(GUID))
    assert (error.error_id, error.how) == ("AmbiguousParameterSet", "error")


def test_empty_text_for_a_mandatory_parameter_is_an_error_of_the_object() -> None:
    error = refused("Suspend-VM", piped="")
    assert (error.error_id, error.how) == ("ParameterArgumentValidationErrorEmptyStringNotAllowed", "error")


def test_parameter_that_no_pipeline_can_fill_fails_before_any_object() -> None:
    error = refused("Set-VMDvdDrive", ("ControllerNumber", "x"), piped=VM)
    assert (error.error_id, error.how) == ("CannotConvertArgumentNoMessage", "failed")
    error = refused("Export-VM", piped=VM)
    assert (error.error_id, error.how) == ("MissingMandatoryParameter", "failed")


def test_call_binds_each_object_anew() -> None:
    call = Call(command("Start-VM"), [("Passthru", True)], expects_input=True)
    assert call.bound.values == {"Passthru": True}
    assert call.take(VM).set == "VMObject"
    assert call.take("other").values == {"Passthru": True, "Name": ["other"]}


@pytest.mark.parametrize("piped", [VM, COPY, 5, "vm1"])
def test_windows_powershell_cmdlets_take_any_object(piped: object) -> None:
    assert bound("Select-Object", ("Property", ["Name"]), piped=piped).values["InputObject"] == piped
    assert bound("ForEach-Object", ("MemberName", "Name"), piped=piped).set == "PropertyAndMethodSet"
    assert bound("Where-Object", ("Property", "Name"), ("EQ", True), ("Value", 1), piped=piped).set == "EqualSet"
