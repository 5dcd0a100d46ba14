"""Firmware is chosen from descriptors by what they promise, not by file names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_hyperv.backends.qemu.firmware import choose
from pytest_hyperv.errors import HostError


def describe(folder: Path, name: str, features: list[str], **changes: object) -> Path:
    """A descriptor in ``folder`` and the files it names; returns the path of its code."""
    folder.mkdir(exist_ok=True)
    code, variables = folder / f"{name}.code", folder / f"{name}.vars"
    code.touch()
    variables.touch()
    facts: dict[str, object] = {
        "mapping": {
            "device": "flash",
            "executable": {"filename": str(code), "format": "raw"},
            "nvram-template": {"filename": str(variables), "format": "raw"},
        },
        "targets": [{"architecture": "x86_64", "machines": ["pc-q35-*"]}],
        "features": features,
    }
    (folder / f"{name}.json").write_text(json.dumps(facts | changes))
    return code


SECURE = ["secure-boot", "enrolled-keys", "requires-smm"]


def test_secure_boot_takes_enrolled_keys_and_off_takes_plain_firmware(tmp_path: Path) -> None:
    secure = describe(tmp_path, "50-secure", SECURE)
    plain = describe(tmp_path, "60-plain", ["acpi-s3"])
    describe(tmp_path, "40-no-keys", ["secure-boot", "requires-smm"])
    assert choose("uefi-ca", (tmp_path,)).code == secure
    assert choose("windows", (tmp_path,)).smm
    assert choose("off", (tmp_path,)).code == plain
    assert not choose("off", (tmp_path,)).smm


def test_an_earlier_folder_hides_a_file_of_the_same_name(tmp_path: Path) -> None:
    describe(tmp_path / "distribution", "60-plain", [])
    own = describe(tmp_path / "administrator", "60-plain", [])
    assert choose("off", (tmp_path / "administrator", tmp_path / "distribution")).code == own


@pytest.mark.parametrize(
    "changes",
    [
        {"targets": [{"architecture": "aarch64", "machines": ["virt-*"]}]},
        {"mapping": {"device": "memory", "filename": "x"}},
        {
            "mapping": {
                "device": "flash",
                "executable": {"filename": "/no/such/file", "format": "raw"},
                "nvram-template": {"filename": "/no/such/file", "format": "raw"},
            }
        },
    ],
)
def test_firmware_that_cannot_be_used_is_passed_over(tmp_path: Path, changes: dict[str, object]) -> None:
    describe(tmp_path, "10-odd", [], **changes)
    with pytest.raises(HostError, match="no UEFI firmware without Secure Boot") as missing:
        choose("off", (tmp_path,))
    assert "pytest-hyperv setup" in missing.value.hint
