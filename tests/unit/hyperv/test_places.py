"""Where a machine lies on a host: written before it is made, read back exactly, and whose files are whose."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_hyperv.backends.hyperv.places import PLACE, Place
from pytest_hyperv.ledger import Ledger, Record

STORE = "C:\\Hyper-V\\pytest-hyperv"
HOSTILE = (
    'D:\\a "quoted" folder',
    "\\\\server\\share\\Größe 日本語 🙂",
    "C:\\$(Remove-Item *)\\`n\\%PATH%\\'; exit",
    "C:\\line\nbreak\0nul",
)


@pytest.fixture
def record(tmp_path: Path) -> Record:
    return Ledger(tmp_path / "ledger").open("hyperv", "a test")


def test_a_new_place_is_on_disk_before_anything_is_made(record: Record) -> None:
    place = Place.of(record, "ssh://hv01", STORE)
    assert Place.read(record.folder) == place
    assert place.host == "ssh://hv01"
    assert place.folder == f"{STORE}\\machines\\{record.folder.name}"
    assert place.disk == f"{place.folder}\\{record.name}.vhdx"
    assert place.holds(place.disk)


def test_a_record_without_a_place_has_none(record: Record) -> None:
    assert Place.read(record.folder) is None


def test_two_machines_never_share_a_folder_or_the_name_of_a_disk(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")
    one, two = (Place.of(ledger.open("hyperv", "a test"), "local", STORE) for _ in range(2))
    assert one.folder != two.folder
    assert one.disk.rpartition("\\")[2] != two.disk.rpartition("\\")[2]
    assert not one.holds(two.disk)


@pytest.mark.parametrize("words", HOSTILE)
def test_odd_words_are_read_as_they_were_written(record: Record, words: str) -> None:
    place = Place(words, words, words + "\\disk.vhdx").written(record)
    assert Place.read(record.folder) == place


def test_a_place_that_was_not_written_to_its_end_is_not_there(record: Record) -> None:
    place = Place.of(record, "local", STORE)
    (record.folder / f"{PLACE}.new").write_text('{"host": "lo')
    assert Place.read(record.folder) == place
    assert place.written(record) == place
    assert sorted(path.name for path in record.folder.iterdir()) == [PLACE, "record.json"]


@pytest.mark.parametrize(
    ("path", "inside"),
    [
        ("C:\\store\\m1\\disk.vhdx", True),
        ("C:\\store\\m1\\deep\\down\\disk.avhdx", True),
        ("c:\\STORE\\M1\\Disk.VHDX", True),
        ("C:/store/m1/disk.vhdx", True),
        ("C:\\store\\m1", True),
        ("C:\\store\\m10\\disk.vhdx", False),
        ("C:\\store\\m1.old\\disk.vhdx", False),
        ("C:\\store\\m1 copy", False),
        ("C:\\store", False),
        ("D:\\store\\m1\\disk.vhdx", False),
        ("D:\\C:\\store\\m1\\disk.vhdx", False),
        ("", False),
    ],
)
def test_the_folder_and_what_lies_below_it_is_held(path: str, inside: bool) -> None:
    assert Place("local", "C:\\store\\m1", "").holds(path) is inside


def test_a_path_that_climbs_out_of_the_folder_is_not_held() -> None:
    assert not Place("local", "C:\\store\\m1", "").holds("C:\\store\\m1\\..\\m2\\disk.vhdx")


def test_a_disk_elsewhere_is_removed_with_its_folder_until_it_is_given_away(record: Record) -> None:
    disk = f"{STORE}\\states\\abc\\disk.vhdx"
    place = Place.of(record, "local", STORE, disk=disk)
    assert place.folders == (place.folder, f"{STORE}\\states\\abc")
    kept = place.without_disk(record)
    assert kept.folders == (place.folder,)
    assert Place.read(record.folder) == kept


def test_a_disk_in_the_folder_goes_with_the_folder(record: Record) -> None:
    place = Place.of(record, "local", STORE)
    assert place.folders == (place.folder,)


def test_a_note_of_another_version_is_refused_and_not_guessed_at(record: Record) -> None:
    (record.folder / PLACE).write_text(json.dumps({"host": "local", "where": "C:\\"}))
    with pytest.raises(TypeError):
        Place.read(record.folder)
