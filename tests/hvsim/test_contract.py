"""The packed contracts: in step with their sources, looked up as PowerShell looks commands up, version by version."""

from __future__ import annotations

import pytest

from tests.hvsim.contract import ALL_SETS, Contract, InSet, packed, plain_type
from tests.hvsim.make_contract import CONTRACTS, DATA, gather, pack


@pytest.fixture
def contract() -> Contract:
    return Contract.load("2025")


def test_data_is_in_step_with_the_shared_contracts() -> None:
    if not CONTRACTS.is_dir():
        pytest.skip(f"{CONTRACTS.name} is not beside the checkout: the packed data cannot be rebuilt")
    assert pack(gather(CONTRACTS)) == DATA.read_bytes(), "run python -m tests.hvsim.make_contract"


def test_data_names_source_commit_and_licence_of_every_file() -> None:
    sources = packed()["sources"]
    assert len(sources) == 7
    assert all("@" in note["source"] and "CC BY" in note["licence"] for note in sources.values())


def test_data_is_small_enough_to_keep_in_the_repository() -> None:
    assert DATA.stat().st_size < 150_000


@pytest.mark.parametrize("name", ["Get-VM", "get-vm", "Hyper-V\\Get-VM", "HYPER-V\\GET-VM"])
def test_command_is_found_in_any_case_and_with_its_module(contract: Contract, name: str) -> None:
    command = contract.command(name)
    assert command is not None
    assert (command.name, command.module) == ("Get-VM", "Hyper-V")


@pytest.mark.parametrize("name", ["VMware.VimAutomation.Core\\Get-VM", "Storage\\Get-VM", "Get-VMs", "", "\\Get-VM2"])
def test_command_of_another_module_or_name_is_not_found(contract: Contract, name: str) -> None:
    assert contract.command(name) is None


@pytest.mark.parametrize(
    ("name", "class_name"),
    [
        ("Get-VM", "Microsoft.HyperV.PowerShell.Commands.GetVM"),
        ("Select-Object", "Microsoft.PowerShell.Commands.SelectObjectCommand"),
        ("Get-CimInstance", "Microsoft.Management.Infrastructure.CimCmdlets.GetCimInstanceCommand"),
        ("Mount-WindowsImage", "Microsoft.Dism.Commands.MountWindowsImageCommand"),
        ("Get-Disk", "Get-Disk"),
        ("New-HgsGuardian", "New-HgsGuardian"),
        ("New-Guid", "New-Guid"),
    ],
)
def test_error_ids_end_in_the_class_or_in_the_name_of_a_function(
    contract: Contract, name: str, class_name: str
) -> None:
    command = contract.command(name)
    assert command is not None
    assert command.class_name == class_name
    assert command.is_function == (class_name == name)


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("Invoke-Command", "Microsoft.PowerShell.Core"),
        ("Sort-Object", "Microsoft.PowerShell.Utility"),
        ("Copy-Item", "Microsoft.PowerShell.Management"),
        ("New-CimSession", "CimCmdlets"),
        ("Get-WinEvent", "Microsoft.PowerShell.Diagnostics"),
        ("Mount-DiskImage", "Storage"),
    ],
)
def test_windows_commands_are_in_their_own_modules(contract: Contract, name: str, module: str) -> None:
    command = contract.command(name)
    assert command is not None
    assert command.module == module


def test_sets_say_what_is_mandatory_and_where(contract: Contract) -> None:
    command = contract.command("New-VHD")
    assert command is not None
    assert command.default_set == "DynamicWithoutSource"
    assert command.parameters["ParentPath"].sets == {"Differencing": InSet(mandatory=True, position=1)}
    assert "Dynamic" not in [n for n, p in command.parameters.items() if "Differencing" in p.sets]


def test_pipeline_input_aliases_and_accepted_values_are_kept(contract: Contract) -> None:
    command = contract.command("Get-VMSwitch")
    assert command is not None
    by_id = command.parameters["Id"]
    assert (by_id.by_value, by_id.by_property_name, by_id.aliases) == (True, True, ("SwitchId",))
    assert command.parameters["SwitchType"].accepted_values == ("Private", "Internal", "External")
    assert not command.parameters["Name"].by_value


def test_what_if_and_confirm_come_last_and_belong_to_every_set(contract: Contract) -> None:
    command = contract.command("Start-VM")
    assert command is not None
    assert list(command.parameters)[-2:] == ["WhatIf", "Confirm"]
    assert command.parameters["WhatIf"].sets == {ALL_SETS: InSet()}
    assert command.parameters["WhatIf"].aliases == ("wi",)


def test_what_if_is_only_where_it_is_documented(contract: Contract) -> None:
    command = contract.command("Get-VM")
    assert command is not None
    assert "WhatIf" not in command.parameters
    assert "Verbose" in command.parameters


def test_progress_action_came_with_the_newer_engine() -> None:
    old, new = Contract.load("2025").command("Get-VM"), Contract.load("2025", engine="7.6").command("Get-VM")
    assert old is not None
    assert new is not None
    assert set(new.parameters) - set(old.parameters) == {"ProgressAction"}


def test_an_enumeration_has_the_names_of_all_its_parameters(contract: Contract) -> None:
    command = contract.command("New-VMSwitch")
    assert command is not None
    assert set(command.enums["VMSwitchType"]) == {"Private", "Internal", "External"}
    assert "UInt32" not in command.enums


def test_cmdlets_that_2019_lacks_are_in_2025_only() -> None:
    old, new = Contract.load("2019"), Contract.load("2025")
    added = {command.name for command in new.commands} - {command.name for command in old.commands}
    assert len(added) == 14
    assert "Add-VMGpuPartitionAdapter" in added
    assert old.command("Add-VMGpuPartitionAdapter") is None


def test_parameters_that_2019_lacks_are_in_2025_only() -> None:
    old, new = Contract.load("2019").command("New-VM"), Contract.load("2025").command("New-VM")
    assert old is not None
    assert new is not None
    assert set(new.parameters) - set(old.parameters) == {"GuestStateIsolationType", "SourceGuestStatePath"}
    assert "GuestIsolationType" in new.enums
    assert "GuestIsolationType" not in old.enums


def test_an_undocumented_version_is_refused() -> None:
    with pytest.raises(ValueError, match="no version '2016'"):
        Contract.load("2016")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("documented", "plain"),
    [
        ("System.Management.Automation.SwitchParameter", "SwitchParameter"),
        ("Microsoft.Management.Infrastructure.CimSession[]", "CimSession[]"),
        ("System.Nullable`1[[System.DateTime]]", "DateTime"),
        ("System.Management.Automation.FlagsExpression`1[System.IO.FileAttributes]", "FlagsExpression"),
        ("System.Diagnostics.Switch", "SwitchParameter"),
        ("String[]", "String[]"),
    ],
)
def test_types_are_known_by_their_plain_names(documented: str, plain: str) -> None:
    assert plain_type(documented) == plain
