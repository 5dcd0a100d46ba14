"""Field mode: transient faults at random, the same for the same seed, each gone after seconds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hvsim.binder import NetObject
from tests.hvsim.console import GOLDEN, Console, open_console
from tests.hvsim.host.failures import HostFailure
from tests.hvsim.host.inventory import left_over
from tests.hvsim.host.locks import refuse_if_held
from tests.hvsim.host.machines import readiness
from tests.hvsim.host.options import HostOptions

TRANSIENT = {0x80070020, 32775}
TRIES = 12


@pytest.fixture
def console(tmp_path: Path) -> Console:
    console = open_console(tmp_path, HostOptions(field=True, seed=7, speed=1.0))
    console.golden()
    return console


def patiently(console: Console, call: Callable[[], list[NetObject]], causes: Counter[int]) -> list[NetObject]:
    """Repeat a call for its transient failures, a few simulated seconds apart."""
    for _ in range(TRIES):
        try:
            return call()
        except HostFailure as failure:
            number = failure.hresult or (32775 if "(32775)" in failure.message else 0)
            if number not in TRANSIENT:
                raise
            causes[number] += 1
            console.host.advance(2)
    raise AssertionError(f"not transient: {causes}")


def cycle(console: Console, name: str, causes: Counter[int]) -> None:
    """Create, start, checkpoint, restore, delete, with retries as a careful driver makes them."""
    disk = f"C:\\store\\{name}\\{name}-disk.vhdx"

    def do(cmdlet: str, **parameters: object) -> list[NetObject]:
        return patiently(console, lambda: console(cmdlet, **parameters), causes)

    do("New-VHD", Path=disk, ParentPath=GOLDEN, Differencing=True)
    (vm,) = do("New-VM", Name=name, Generation=2, VHDPath=disk, Path="C:\\store")
    do("Set-VM", VM=vm, CheckpointType="Standard")
    do("Start-VM", VM=vm)
    console.host.advance(20)
    (point,) = do("Checkpoint-VM", VM=vm, SnapshotName="one", Passthru=True)
    do("Stop-VM", VM=vm, TurnOff=True)
    do("Restore-VMSnapshot", VMSnapshot=point)
    do("Start-VM", VM=vm)
    do("Stop-VM", VM=vm, TurnOff=True)
    do("Remove-VM", VM=vm, Force=True)
    patiently(console, lambda: remove_files(console, f"C:\\store\\{name}"), causes)


def remove_files(console: Console, folder: str) -> list[NetObject]:
    with console.host.transaction() as world:
        refuse_if_held(world, folder)
        for file in world.drives.files_below(folder):
            file.unlink()
    return []


def test_a_driver_that_retries_what_passes_sees_no_error_and_leaves_nothing(console: Console) -> None:
    causes: Counter[int] = Counter()
    for number in range(12):
        cycle(console, f"vm-{number}", causes)
    console.host.advance(30)
    assert left_over(console.host.folder, "C:\\store") == []
    assert set(causes) == TRANSIENT
    assert all(count >= 3 for count in causes.values())


def test_a_driver_that_does_not_retry_fails(console: Console) -> None:
    def carelessly() -> None:
        for number in range(25):
            console.machine(f"vm-{number}")

    with pytest.raises(HostFailure):
        carelessly()


def test_without_field_mode_nothing_happens_at_random(tmp_path: Path) -> None:
    console = open_console(tmp_path, HostOptions(speed=1.0))
    for number in range(25):
        console("Remove-VM", console.machine(f"vm-{number}"), Force=True)
    with console.host.transaction() as world:
        assert (world.draws, world.struck) == (0, {})


def test_two_children_of_one_parent_at_once_collide(console: Console) -> None:
    causes: Counter[int] = Counter()

    def child(number: int) -> list[NetObject]:
        return console("New-VHD", Path=f"C:\\d\\{number}.vhdx", ParentPath=GOLDEN, Differencing=True)

    patiently(console, lambda: child(1), causes)
    with pytest.raises(HostFailure) as collided:
        child(2)
    assert collided.value.hresult == 0x80070020
    console.host.advance(5)
    patiently(console, lambda: child(2), causes)


def test_halt_events_may_come_after_off_was_seen(console: Console) -> None:
    causes: Counter[int] = Counter()
    vm = patiently(console, lambda: [console.machine("one")], causes)[0]
    for _ in range(20):
        patiently(console, lambda: console("Start-VM", VM=vm), causes)
        patiently(console, lambda: console("Stop-VM", VM=vm, TurnOff=True), causes)
        with console.host.transaction() as world:
            late = [event for event in world.events if event.id == 18502 and event.time > world.now]
        if late:
            return
    raise AssertionError("no event came late")


def test_a_fresh_guest_refuses_its_credential_for_a_moment_at_its_first_boot_only(console: Console) -> None:
    causes: Counter[int] = Counter()
    vm = patiently(console, lambda: [console.machine("one")], causes)[0]

    def windows() -> float:
        patiently(console, lambda: console("Start-VM", VM=vm), causes)
        with console.host.transaction() as world:
            machine = world.machine(str(vm.property("Id")))
            assert not readiness(machine, machine.direct_at).login or machine.login_at == machine.direct_at
            return machine.login_at - machine.direct_at

    assert windows() > 0
    patiently(console, lambda: console("Stop-VM", VM=vm, TurnOff=True), causes)
    assert windows() == 0
