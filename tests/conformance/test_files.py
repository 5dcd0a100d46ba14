"""Files and folders into the guest and out of it, byte for byte."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

import pytest

from pytest_hyperv import VirtualMachine
from pytest_hyperv.errors import CopyError
from tests.conformance.guests import guest_of, sha256_in

pytestmark = [pytest.mark.feature(14), pytest.mark.hyperv(reset="module")]
EVERY_BYTE = bytes(range(256))


def test_a_file_of_five_megabytes_is_the_same_in_the_guest_and_back(hyperv_vm: VirtualMachine, tmp_path: Path) -> None:
    guest = guest_of(hyperv_vm)
    content = EVERY_BYTE + random.Random(5).randbytes(5 * 1024 * 1024) + bytes(4097)
    (tmp_path / "there").write_bytes(content)
    hyperv_vm.copy_in(tmp_path / "there", guest.path("large file.bin"))
    said = hyperv_vm.run(guest.digest(guest.path("large file.bin"))).check().stdout
    assert sha256_in(said) == hashlib.sha256(content).hexdigest()
    assert hyperv_vm.copy_out(guest.path("large file.bin"), tmp_path / "back").read_bytes() == content


@pytest.mark.parametrize(
    "content", [b"", b"\0", b"\r\n", EVERY_BYTE * 3], ids=["empty", "nul", "line end", "every byte"]
)
def test_bytes_are_written_and_read_as_they_are(hyperv_vm: VirtualMachine, content: bytes) -> None:
    path = guest_of(hyperv_vm).path("small")
    hyperv_vm.write_bytes(path, content)
    assert hyperv_vm.read_bytes(path) == content


def test_text_keeps_its_letters_and_line_ends(hyperv_vm: VirtualMachine) -> None:
    path = guest_of(hyperv_vm).path("new", "folders", "letter é.txt")
    text = "grüße, 你好 🙂\nand\r\nthe rest"
    hyperv_vm.write_text(path, text)
    assert hyperv_vm.read_text(path) == text


def test_a_shorter_file_takes_the_place_of_a_longer_one(hyperv_vm: VirtualMachine) -> None:
    path = guest_of(hyperv_vm).path("replaced")
    hyperv_vm.write_text(path, "a long text")
    hyperv_vm.write_text(path, "short")
    assert hyperv_vm.read_text(path) == "short"


def test_a_folder_goes_in_and_comes_out_with_all_below_it(hyperv_vm: VirtualMachine, tmp_path: Path) -> None:
    guest = guest_of(hyperv_vm)
    tree = tmp_path / "tree"
    (tree / "deep" / "er").mkdir(parents=True)
    (tree / "empty").mkdir()
    (tree / "deep" / "er" / "every.bin").write_bytes(EVERY_BYTE)
    (tree / "sp ace ü.txt").write_text("odd name\n")
    (tree / "nothing").touch()
    hyperv_vm.copy_in(tree, guest.path("tree"))
    said = hyperv_vm.run(guest.digest(guest.path("tree", "deep", "er", "every.bin"))).check().stdout
    assert sha256_in(said) == hashlib.sha256(EVERY_BYTE).hexdigest()
    back = hyperv_vm.copy_out(guest.path("tree"), tmp_path / "back")
    assert {path.relative_to(back).as_posix() for path in back.rglob("*")} == {
        *("deep", "deep/er", "deep/er/every.bin", "empty", "nothing", "sp ace ü.txt")
    }
    assert (back / "deep" / "er" / "every.bin").read_bytes() == EVERY_BYTE
    assert (back / "sp ace ü.txt").read_bytes() == (tree / "sp ace ü.txt").read_bytes()


def test_a_folder_as_target_takes_what_is_copied(hyperv_vm: VirtualMachine, tmp_path: Path) -> None:
    guest = guest_of(hyperv_vm)
    (tmp_path / "note").write_text("hello")
    hyperv_vm.write_text(guest.path("taker", "first"), "so that it is there")
    hyperv_vm.copy_in(tmp_path / "note", guest.path("taker"))
    assert hyperv_vm.read_text(guest.path("taker", "note")) == "hello"
    (tmp_path / "back").mkdir()
    assert hyperv_vm.copy_out(guest.path("taker", "note"), tmp_path / "back") == tmp_path / "back" / "note"


def test_a_path_that_is_not_there_is_named_and_nothing_is_made(hyperv_vm: VirtualMachine, tmp_path: Path) -> None:
    absent = guest_of(hyperv_vm).path("no such file")
    with pytest.raises(CopyError, match="no such file"):
        hyperv_vm.read_bytes(absent)
    with pytest.raises(CopyError, match="no such file"):
        hyperv_vm.copy_out(absent, tmp_path / "copy")
    with pytest.raises(CopyError, match="does not exist on this host"):
        hyperv_vm.copy_in(tmp_path / "absent", guest_of(hyperv_vm).path("copy"))
    assert list(tmp_path.iterdir()) == []
    assert not hyperv_vm.run(guest_of(hyperv_vm).exists(guest_of(hyperv_vm).path("copy")))
