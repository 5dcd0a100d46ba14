"""A kernel module, tested as its users meet it: loaded, used through its device, unloaded, and made to crash.

Every test gets a machine of its own, so none has to clean up, and a kernel that panics takes nobody with it.
"""

from __future__ import annotations

import functools
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_hyperv import MachineState, VirtualMachine
from pytest_hyperv.errors import GuestCrashed

HERE = Path(__file__).parent
MODULE = "/root/hello.ko"
DEVICE = "/dev/hello"


@pytest.fixture(scope="session")
def compile_for(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """A function that compiles the module, once, for the kernel of the golden image in the folder it is given."""
    for tool in ("gcc", "make", "tar"):
        if shutil.which(tool) is None:
            pytest.fail(f"{tool} is needed to compile the module. Run: pytest-hyperv setup", pytrace=False)

    @functools.cache
    def compile_module(image: Path) -> Path:
        work = tmp_path_factory.mktemp("kernel_module")
        for source in ("hello.c", "Kbuild"):
            shutil.copy(HERE / source, work)
        for command in (
            ["tar", "-xf", str(image / "kbuild.tar"), "-C", str(work)],
            ["make", "-C", str(work / "build"), f"M={work}", "modules"],
        ):
            done = subprocess.run(command, capture_output=True, text=True, timeout=300)
            if done.returncode != 0:
                pytest.fail(f"{command[0]} could not make the module:\n{done.stdout}{done.stderr}", pytrace=False)
        return work / "hello.ko"

    return compile_module


@pytest.fixture
def vm(hyperv_vm: VirtualMachine, compile_for: Callable[[Path], Path]) -> VirtualMachine:
    """The test's machine, the module lying ready in it."""
    hyperv_vm.copy_in(compile_for(hyperv_vm.image.folder), MODULE)
    return hyperv_vm


@pytest.fixture
def loaded(vm: VirtualMachine) -> VirtualMachine:
    """The test's machine with the module loaded."""
    vm.run(["insmod", MODULE]).check()
    vm.wait_for_file(DEVICE, timeout=10)
    return vm


def test_loading_makes_the_device(vm: VirtualMachine) -> None:
    assert not vm.run(["test", "-e", DEVICE])
    vm.run(["insmod", MODULE]).check()
    vm.wait_until_succeeds(["test", "-c", DEVICE], timeout=10)
    assert "hello" in vm.run(["lsmod"]).stdout


def test_the_device_greets_who_was_named_last(loaded: VirtualMachine) -> None:
    assert loaded.run(["cat", DEVICE]).stdout == "hello, nobody\n"
    loaded.sh(f"echo Ada > {DEVICE}").check()
    assert loaded.run(["cat", DEVICE]).stdout == "hello, Ada\n"


def test_the_greeting_is_a_parameter(vm: VirtualMachine) -> None:
    vm.run(["insmod", MODULE, "greeting=welcome"]).check()
    assert vm.run(["cat", DEVICE]).stdout == "welcome, nobody\n"


def test_a_name_that_is_too_long_is_refused(loaded: VirtualMachine) -> None:
    refused = loaded.run(["dd", f"of={DEVICE}", "bs=64"], input="x" * 64)
    assert not refused
    assert "Invalid argument" in refused.stderr
    assert loaded.run(["cat", DEVICE]).stdout == "hello, nobody\n"


def test_it_cannot_be_unloaded_while_its_device_is_open(loaded: VirtualMachine) -> None:
    holder = loaded.spawn(["sh", "-c", f"exec 3<{DEVICE}; echo open; read line"])
    assert holder.read(timeout=10) == (1, b"open\n")
    assert "in use" in loaded.run(["rmmod", "hello"]).stderr
    holder.write(b"close\n")
    assert holder.wait(timeout=10) == 0
    assert loaded.run(["rmmod", "hello"])


def test_unloading_takes_the_device_away(loaded: VirtualMachine) -> None:
    loaded.run(["rmmod", "hello"]).check()
    loaded.wait_until_succeeds(["test", "!", "-e", DEVICE], timeout=10)
    assert "hello" not in loaded.run(["lsmod"]).stdout


def test_it_tells_the_kernels_log_when_it_comes_and_goes(loaded: VirtualMachine) -> None:
    loaded.run(["rmmod", "hello"]).check()
    said = [line.partition("hello: ")[2] for line in loaded.run(["dmesg"]).stdout.splitlines() if "hello: " in line]
    assert said[-2:] == ["ready at /dev/hello", "gone"]


def test_a_panic_ends_the_command_and_says_where_it_came_from(loaded: VirtualMachine) -> None:
    with pytest.raises(GuestCrashed, match="hello was told to give up") as caught:
        loaded.sh(f"echo panic > {DEVICE}")
    assert caught.value.kind == "panic"
    assert "hello_give_up" in caught.value.text

    assert loaded.crashed
    assert loaded.state is MachineState.CRASHED
    assert loaded.crash is not None
    assert loaded.crash.text == caught.value.text
    assert "Kernel panic - not syncing: hello was told to give up" in loaded.console_text()


def test_the_machine_after_a_panic_is_a_clean_one(vm: VirtualMachine) -> None:
    assert not vm.crashed
    assert "hello" not in vm.run(["lsmod"]).stdout
    assert "told to give up" not in vm.run(["dmesg"]).stdout
    vm.run(["insmod", MODULE]).check()
    assert vm.run(["cat", DEVICE]).stdout == "hello, nobody\n"
