"""The shared state: one record for all processes, saved whole, with a clock of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hvsim.console import Console, open_console
from tests.hvsim.host.failures import HostFailure, invalid_argument
from tests.hvsim.host.options import HostOptions
from tests.hvsim.host.records import decode, written
from tests.hvsim.host.state import World
from tests.hvsim.host.world import SimHost


@pytest.fixture
def console(tmp_path: Path) -> Console:
    return open_console(tmp_path)


def test_options_come_back_as_they_were_written(tmp_path: Path) -> None:
    options = HostOptions(version="2019", edition="client", culture="de-DE", rights="none", boot=3.5)
    options.save(tmp_path)
    assert SimHost(tmp_path).options == options


def test_a_world_comes_back_from_json_as_it_was(console: Console) -> None:
    vm = console.ready(console.machine())
    console("Checkpoint-VM", vm, SnapshotName="one")
    with console.host.transaction() as world:
        text = written(world)
        again = decode(World, json.loads(text))
        again.folder = world.folder
        assert again.machines == world.machines
        assert again.events == world.events
        assert written(again) == text


def test_another_process_sees_what_was_changed(console: Console) -> None:
    console.machine("seen-elsewhere")
    script = (
        "import sys, pathlib; from tests.hvsim.host.world import SimHost\n"
        "with SimHost(pathlib.Path(sys.argv[1])).transaction() as world:\n"
        "    print([vm.name for vm in world.machines.values()])\n"
    )
    seen = subprocess.run(
        [sys.executable, "-c", script, str(console.host.folder)], capture_output=True, text=True, check=True, timeout=60
    )
    assert seen.stdout.strip() == "['seen-elsewhere']"


def test_a_refusal_keeps_what_was_changed_and_a_defect_does_not(console: Console) -> None:
    def leave(path: str, with_what: Exception) -> None:
        with console.host.transaction() as world:
            world.paths["machines"] = path
            raise with_what

    with pytest.raises(HostFailure):
        leave("C:\\refused", invalid_argument("no"))
    with pytest.raises(KeyError):
        leave("C:\\defect", KeyError("defect"))
    with console.host.transaction() as world:
        assert world.paths["machines"] == "C:\\refused"


def test_simulated_time_can_be_moved_and_never_goes_back(console: Console) -> None:
    with console.host.transaction() as world:
        before = world.now
    console.host.advance(3600)
    with console.host.transaction() as world:
        assert 3600 <= world.now - before < 3600 + 60 * console.host.options.speed


def test_chance_is_the_same_for_the_same_seed() -> None:
    def drawn(seed: int) -> list[float]:
        world = World(now=0, as_of=0, options=HostOptions(seed=seed))
        return [world.draw() for _ in range(5)]

    assert drawn(1) == drawn(1) != drawn(2)
    assert len(set(drawn(1))) == 5


def test_an_unknown_id_is_an_error_of_category_object_not_found(console: Console) -> None:
    with console.host.transaction() as world, pytest.raises(HostFailure) as unknown:
        world.machine("00000000-0000-0000-0000-000000000000")
    assert (unknown.value.error_id, unknown.value.category) == ("InvalidParameter", "ObjectNotFound")
