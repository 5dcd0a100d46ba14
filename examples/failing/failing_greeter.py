"""A program tested on real machines, with tests that fail in every way a test can: to see what is told of each.

``cd examples/failing && pytest --hyperv-report=report.html``
"""

from __future__ import annotations

import pytest

from pytest_hyperv import VirtualMachine, hyperv_state

GREET = """\
#!/bin/sh
# greets by name, but for one letter
echo "hello, $nmae"
"""


@hyperv_state(base="debian-12")
def greeter_installed(vm: VirtualMachine) -> None:
    vm.write_text("/usr/local/bin/greet", GREET)
    vm.run(["chmod", "755", "/usr/local/bin/greet"]).check()


@hyperv_state(base=greeter_installed)
def greeter_upgraded(vm: VirtualMachine) -> None:
    vm.run(["dpkg", "--install", "/srv/greeter_2.0_all.deb"]).check()


@pytest.mark.hyperv(state=greeter_installed)
class TestGreeter:
    def test_it_is_there(self, hyperv_vm: VirtualMachine) -> None:
        assert hyperv_vm.run(["test", "-x", "/usr/local/bin/greet"])

    def test_it_says_hello(self, hyperv_vm: VirtualMachine) -> None:
        assert hyperv_vm.run(["greet"]).stdout.startswith("hello")

    def test_it_greets_by_name(self, hyperv_vm: VirtualMachine) -> None:
        hyperv_vm.run(["greet", "Ada"]).check()
        assert hyperv_vm.run(["greet", "Ada"]).stdout == "hello, Ada\n"

    def test_it_survives_anything(self, hyperv_vm: VirtualMachine) -> None:
        hyperv_vm.sh("echo 'greeter: going down' > /dev/kmsg").check()
        hyperv_vm.sh("echo c > /proc/sysrq-trigger")

    def test_it_answers_in_time(self, hyperv_vm: VirtualMachine) -> None:
        hyperv_vm.sh("greet; echo waiting for a friend; sleep 600", timeout=3)


@pytest.mark.hyperv(state=greeter_upgraded)
@pytest.mark.parametrize("name", ["Ada", "Grace"])
def test_the_new_version_greets_too(hyperv_vm: VirtualMachine, name: str) -> None:
    assert hyperv_vm.run(["greet", name])


@pytest.mark.hyperv_requires(memory="2TiB")
def test_it_greets_everybody_at_once(hyperv_vm: VirtualMachine) -> None:
    assert hyperv_vm.run(["greet", "everybody"])


@pytest.mark.hyperv_requires(os="windows")
def test_it_greets_on_a_windows_host(hyperv_vm: VirtualMachine) -> None:
    assert hyperv_vm.run(["greet", "Bill"])
