"""What stands on the host when a machine was made: read from the host itself, for every part of a spec."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from pytest_hyperv.backends.hyperv.backend import HypervBackend
from pytest_hyperv.backends.hyperv.machine import HypervMachine
from pytest_hyperv.errors import CmdletError
from pytest_hyperv.spec import GIB, MIB, MachineSpec
from tests.hvsim.host.disk_files import chain_paths
from tests.hvsim.host.machines import VirtualMachine
from tests.hyperv.conftest import Clone, enter
from tests.hyperv.simulation import SPEC, Simulation

Made = Callable[[MachineSpec], VirtualMachine]


@pytest.fixture(scope="module")
def plain(shared_host: Simulation) -> VirtualMachine:
    """What the host knew of a machine that leaves everything to the defaults; the machine is gone."""
    with pytest.MonkeyPatch.context() as environment:
        enter(shared_host.lab, environment)
        backend = shared_host.open()
        machine = backend.clone(shared_host.state(), "a picture")
        seen = shared_host.machine(machine.id)
        machine.discard()
        backend.close()
    return seen


@pytest.fixture
def made(host: Simulation, clone: Clone) -> Made:
    """Makes a machine of a spec and reads what the host knows of it."""
    return lambda spec: host.machine(clone(spec).id)


def test_a_plain_machine_has_what_was_asked_for_and_nothing_more(plain: VirtualMachine) -> None:
    settings = plain.settings
    assert settings.generation == 2
    assert (settings.ram.startup, settings.ram.dynamic) == (512 * MIB, False)
    assert settings.processor.count == 1
    assert not settings.processor.nested
    assert not settings.firmware.secure_boot
    assert not settings.security.tpm
    assert settings.adapters == []


def test_a_plain_machine_is_kept_from_what_surprises_tests(plain: VirtualMachine) -> None:
    settings = plain.settings
    assert not settings.automatic_checkpoints
    assert (settings.start_action, settings.stop_action) == ("Nothing", "TurnOff")
    assert settings.checkpoint_type == "Standard"


def test_its_notes_and_its_name_are_those_of_its_record(host: Simulation, machine: HypervMachine) -> None:
    seen = host.machine(machine.id)
    assert seen.name == machine.name
    (record,) = [json.loads(path.read_text()) for path in host.cache.glob("machines/*/record.json")]
    assert record["name"] == machine.name
    assert seen.notes.startswith(f"pytest-hyperv {record['id']} made 20")


def test_its_disk_is_a_child_of_a_sealed_one(host: Simulation, backend: HypervBackend, machine: HypervMachine) -> None:
    seen = host.machine(machine.id)
    with host.world() as world:
        chain = chain_paths(world.drives, world.machine(machine.id).top_disk)
        sealed = [not world.drives.resolve(path).stat().st_mode & 0o222 for path in chain]
    assert chain[0].casefold().startswith(seen.path.casefold())
    assert chain[-2].startswith(f"{backend.host.store}\\states\\")
    assert chain[-1].startswith(f"{backend.host.store}\\images\\")
    assert sealed == [*[False] * (len(chain) - 2), True, True]
    assert len({path.rpartition("\\")[2] for path in chain}) == len(chain)


def test_all_its_files_lie_in_one_folder_of_its_own(backend: HypervBackend, plain: VirtualMachine) -> None:
    folder = plain.path.casefold()
    assert folder.startswith(f"{backend.host.store}\\machines\\".casefold())
    assert all(drive.path.casefold().startswith(folder) for drive in plain.settings.drives)
    assert len(plain.settings.drives) == 1


def test_com_1_leads_to_a_pipe_of_its_name(plain: VirtualMachine) -> None:
    assert [port.path for port in plain.settings.com_ports] == [rf"\\.\pipe\{plain.name}-com1", ""]


def test_guest_services_are_switched_on_beside_the_usual_ones(plain: VirtualMachine) -> None:
    services = plain.settings.services
    assert services["GuestServices"]
    assert services["Heartbeat"]
    assert services["Shutdown"]
    assert services["KeyValue"]


@pytest.mark.parametrize(
    ("word", "template"), [("windows", "MicrosoftWindows"), ("uefi-ca", "MicrosoftUEFICertificateAuthority")]
)
def test_secure_boot_has_the_template_of_the_spec(made: Made, word: str, template: str) -> None:
    firmware = made(MachineSpec(image="windows", secure_boot="windows" if word == "windows" else "uefi-ca")).settings
    assert firmware.firmware.secure_boot
    assert firmware.firmware.template == template


def test_a_tpm_comes_with_a_protector_of_this_host(host: Simulation, made: Made) -> None:
    security = made(replace(SPEC, tpm=True)).settings.security
    with host.world() as world:
        guardian = world.guardian
    assert security.tpm
    assert security.protector.startswith(guardian)


def test_a_nested_machine_shows_virtualization_and_lets_inner_adapters_speak(host: Simulation, made: Made) -> None:
    with host.switch("lan"):
        settings = made(replace(SPEC, nested=True, network="switch:lan", memory=2 * GIB)).settings
    assert settings.processor.nested
    assert not settings.ram.dynamic
    assert [adapter.spoofing for adapter in settings.adapters] == [True]


def test_processors_are_counted(made: Made) -> None:
    assert made(replace(SPEC, cpus=4)).settings.processor.count == 4


def test_dynamic_memory_has_its_bounds(made: Made) -> None:
    ram = made(replace(SPEC, dynamic_memory=(256 * MIB, 2 * GIB))).settings.ram
    assert (ram.dynamic, ram.minimum, ram.startup, ram.maximum) == (True, 256 * MIB, 512 * MIB, 2 * GIB)


def test_a_named_switch_is_connected_to(host: Simulation, made: Made) -> None:
    with host.switch("lan") as switch:
        (adapter,) = made(replace(SPEC, network="switch:lan")).settings.adapters
    assert adapter.switch == switch


def test_a_switch_that_is_not_there_is_named_and_nothing_stays(host: Simulation, clone: Clone) -> None:
    with pytest.raises(CmdletError, match="nowhere") as refused:
        clone(replace(SPEC, network="switch:nowhere"))
    assert refused.value.category == "ObjectNotFound"
    assert host.records() == []


def test_checkpoints_off_makes_no_clean_point(clone: Clone) -> None:
    machine = clone(replace(SPEC, checkpoints="off"))
    assert machine.checkpoints() == ()
    assert not machine.recycle()


def test_production_checkpoints_still_have_a_clean_point_with_memory(host: Simulation, clone: Clone) -> None:
    machine = clone(replace(SPEC, checkpoints="production"))
    (clean,) = host.machine(machine.id).checkpoints.values()
    assert clean.memory is not None
    assert machine.recycle()


def test_a_second_machine_of_a_state_uses_the_same_parent(host: Simulation, clone: Clone) -> None:
    one, other = clone(), clone()
    assert one.id != other.id
    assert host.machine(one.id).path != host.machine(other.id).path
