"""The command line keeps its promises: sandboxed, no network, no name in a disk followed, commas harmless."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_hyperv.backends.qemu import command_line as lines
from pytest_hyperv.backends.qemu.command_line import Channels, Ram
from pytest_hyperv.backends.qemu.firmware import Firmware
from pytest_hyperv.spec import MIB, MachineSpec

LAYERS = [Path("/golden,odd.qcow2"), Path("/state.qcow2"), Path("/top.qcow2")]


def built(
    spec: MachineSpec, ram: Ram | None = None, smm: bool = False, accelerator: str = "tcg", network: int | None = None
) -> list[str]:
    """The arguments for ``spec`` without the program."""
    return lines.command_line(
        spec,
        name="vm",
        uuid="00000000-0000-4000-8000-000000000000",
        accelerator=accelerator,
        firmware=Firmware(Path("/code.fd"), Path("/vars.fd"), smm),
        os_family="linux",
        layers=LAYERS,
        ram=ram or Ram(),
        ram_size=spec.memory,
        channels=Channels(3, 4, 5, 6, 7 if spec.tpm else None, network),
        incoming=False,
    )[1:]


def value(argv: list[str], option: str) -> str:
    """The one value of an option."""
    (index,) = (i for i, word in enumerate(argv) if word == option)
    return argv[index + 1]


def test_no_network_and_a_sandbox_by_default() -> None:
    argv = built(MachineSpec())
    assert value(argv, "-nic") == "none"
    assert "-netdev" not in argv
    assert value(argv, "-sandbox") == "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"


def test_a_private_network_is_a_connected_socket_and_each_machine_has_its_own_address() -> None:
    spec, uuid = replace(MachineSpec(), network="private"), "12345678-9abc-4000-8000-000000000000"
    argv = built(spec, network=9)
    assert value(argv, "-netdev") == "socket,id=net0,fd=9"
    assert "virtio-net-pci,netdev=net0,mac=02:00:00:00:00:00,romfile=" in argv
    assert lines.mac_of(uuid) == "02:12:34:56:78:9a"
    assert lines.mac_of("") == "02:00:00:00:00:00", "what the hardware is compared by names no machine"
    assert not [word for word in argv if "listen" in word or "hostfwd" in word or "user,id=net0" in word]


def test_every_layer_is_spelt_out_and_only_the_top_is_writable() -> None:
    node = json.loads(value(built(MachineSpec()), "-blockdev"))
    chain = []
    while node is not None:
        chain.append((node["file"]["filename"], node["read-only"]))
        node = node["backing"]
    assert chain == [("/top.qcow2", False), ("/state.qcow2", True), ("/golden,odd.qcow2", True)]


def test_a_comma_in_a_path_ends_no_option() -> None:
    argv = built(MachineSpec(), Ram(Path("/a,share=on"), shared=False))
    assert value(argv, "-object") == f"memory-backend-file,id=ram0,size={512 * MIB},share=off,mem-path=/a,,share=on"


@pytest.mark.parametrize(
    ("nested", "accelerator", "cpu"),
    [
        (False, "tcg", "max,la57=off,svm=off"),
        (True, "tcg", "max,la57=off"),
        (False, "kvm", "host,svm=off,vmx=off"),
        (True, "kvm", "host"),
    ],
)
def test_virtualization_is_shown_to_the_guest_only_when_asked(nested: bool, accelerator: str, cpu: str) -> None:
    assert value(built(replace(MachineSpec(), nested=nested), accelerator=accelerator), "-cpu") == cpu


def test_a_tpm_and_secure_boot_bring_their_parts() -> None:
    argv = built(replace(MachineSpec(), tpm=True), smm=True)
    assert "socket,id=tpm,fd=7" in argv
    assert "tpm-crb,tpmdev=tpm0" in argv
    assert "driver=cfi.pflash01,property=secure,value=on" in argv
    assert "smm=on" in value(argv, "-machine")
