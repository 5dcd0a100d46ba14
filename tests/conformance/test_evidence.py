"""What is seen of a machine from outside: its screen and its serial console."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from pytest_hyperv import VirtualMachine
from tests.conformance.expectations import arrives_in_log, arrives_on_console
from tests.conformance.guests import guest_of

pytestmark = [pytest.mark.feature(19), pytest.mark.hyperv(reset="module")]
SIGNATURE = b"\x89PNG\r\n\x1a\n"


def test_the_screen_is_a_png(hyperv_vm: VirtualMachine, tmp_path: Path) -> None:
    picture = hyperv_vm.screenshot(tmp_path / "screen.png")
    assert picture.startswith(SIGNATURE)
    kind, width, height = struct.unpack(">4sII", picture[12:24])
    assert kind == b"IHDR"
    assert width >= 320
    assert height >= 200
    assert (tmp_path / "screen.png").read_bytes() == picture
    assert hyperv_vm.screenshot().startswith(SIGNATURE)


def test_what_the_guest_says_on_its_serial_port_is_kept(hyperv_vm: VirtualMachine) -> None:
    before = hyperv_vm.console_text()
    assert "seen-from-outside" not in before
    hyperv_vm.sh(guest_of(hyperv_vm).to_console("seen-from-outside")).check()
    assert arrives_on_console(hyperv_vm, "seen-from-outside").startswith(before)


def test_the_systems_log_tells_what_happened_since_a_moment(hyperv_vm: VirtualMachine) -> None:
    guest = guest_of(hyperv_vm)
    hyperv_vm.run(guest.to_log("before-the-moment")).check()
    before = arrives_in_log(hyperv_vm, "before-the-moment", 0)
    moment = guest.clock(hyperv_vm)
    hyperv_vm.run(guest.to_log("after-the-moment")).check()
    after = arrives_in_log(hyperv_vm, "after-the-moment", moment)
    assert (after.source, after.level, after.text) == ("conformance", "warning", "after-the-moment")
    assert before.time < moment <= after.time
    assert "before-the-moment" not in [event.text for event in hyperv_vm.events(moment)]
    assert "after-the-moment" in [event.text for event in hyperv_vm.events()]
