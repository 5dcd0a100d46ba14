"""Pieces of the page: text made harmless, evidence taken in within bounds, and where the time went."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_hyperv.durations import took
from pytest_hyperv.errors import HypervError
from pytest_hyperv.report_page import exhibits
from pytest_hyperv.report_page.accounts import Piece, account
from pytest_hyperv.report_page.exhibits import PICTURE, PNG, TEXT, Exhibits
from pytest_hyperv.report_page.headline import headline
from pytest_hyperv.report_page.plain import plain, shortened, unspelled
from pytest_hyperv.report_page.rendering import data_of, render, write
from pytest_hyperv.timeline import Timeline
from tests.page.made_up import HOSTILE, hostile, made_up


def test_terminal_sequences_and_hidden_letters_do_not_reach_the_page() -> None:
    said = "\x1b[31mred\x1b[0m\x1b]0;title\x07 a\rb\r\nc \x9b1m \u202eabc \x00 \x1bc\ttab"
    assert plain(said) == "red a\nb\nc \\u009b1m \\u202eabc \\u0000 \ttab"
    assert unspelled(r"\x1b[0;32m  OK  \x1b[0m done \x1bM.") == "  OK   done ."


@given(st.text())
def test_nothing_that_commands_a_terminal_is_left(text: str) -> None:
    left = set(plain(text))
    assert not left & {chr(code) for code in (*range(9), *range(11, 32), *range(127, 160), 0x2028, 0x202E)}
    plain(text).encode("utf-8")


@given(st.text(max_size=3000), st.integers(min_value=40, max_value=1000))
def test_a_text_is_shortened_in_its_middle(text: str, limit: int) -> None:
    short = shortened(text, limit)
    assert len(short) <= limit + 60
    assert short == text if len(text) <= limit else short[: limit // 4] == text[: limit // 4]
    assert short[-limit // 2 :] == text[-limit // 2 :]


def test_every_moment_belongs_to_the_innermost_thing() -> None:
    pieces = [Piece(2, 6, "fixtures"), Piece(3, 5, "wait"), Piece(3.5, 4.5, "clone"), Piece(6, 8, "test")]
    assert account(pieces, 0, 10) == {"start": 2, "fixtures": 2, "wait": 1, "clone": 1, "test": 2, "idle": 2}
    assert account([], 0, 1) == {"start": 1}


@given(st.lists(st.tuples(st.floats(0, 10), st.floats(0, 10), st.sampled_from("abc"))))
def test_no_moment_is_counted_twice_or_lost(told: list[tuple[float, float, str]]) -> None:
    pieces = [Piece(min(one, other), max(one, other), kind) for one, other, kind in told]
    assert sum(account(pieces, 0, 10).values()) == pytest.approx(10, abs=0.01)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (42.2, "42 s"), (59.7, "1 min 0 s"), (252, "4 min 12 s"), (7500, "2 h 5 min")],
)
def test_durations_are_said_to_two_places(seconds: float, said: str) -> None:
    assert took(seconds) == said


def test_a_process_remembers_a_bounded_number_of_spans_and_counts_the_rest() -> None:
    timeline = Timeline(2)
    for number in range(5):
        with timeline.span("clone", machine=str(number)):
            pass
    assert timeline.dropped == 3
    told = timeline.drain()
    assert [span["machine"] for span in told] == ["3", "4"]
    assert told[0]["began"] <= told[0]["ended"] <= told[1]["began"]
    assert timeline.drain() == []


def test_a_process_that_is_asked_for_no_page_remembers_nothing() -> None:
    timeline = Timeline(0)
    with timeline.span("clone"):
        pass
    assert timeline.drain() == []


def test_a_span_is_remembered_when_its_work_fails_too() -> None:
    timeline = Timeline()
    with pytest.raises(KeyError), timeline.span("build", state="installed"):
        raise KeyError
    assert [span["kind"] for span in timeline.drain()] == ["build"]


@pytest.mark.parametrize(
    ("tests", "said"),
    [
        ([], ("No test ran", "")),
        ([{"outcome": "passed"}], ("1 test passed", "")),
        ([{"outcome": "passed"}] * 2 + [{"outcome": "skipped"}], ("All 2 tests passed", "1 skipped")),
        ([{"outcome": "skipped"}] * 2, ("All 2 tests skipped", "2 skipped")),
        (
            [
                {"outcome": "passed"},
                {"outcome": "error", "kind": "crash"},
                {"outcome": "failed", "kind": "assertion"},
                {"outcome": "failed", "kind": "assertion"},
            ],
            ("3 of 4 tests failed", "2 assertions, 1 guest crash"),
        ),
    ],
)
def test_the_headline_says_how_the_run_ended(tests: list[dict[str, Any]], said: tuple[str, str]) -> None:
    assert headline(tests, interrupted=False) == said
    assert headline(tests, interrupted=True)[1].startswith("the run was interrupted")


# -- evidence


def shown(folder: Path, path: str, kind: str, **more: str) -> dict[str, Any]:
    exhibit = {"kind": kind, "path": path, "note": ""} | more
    return Exhibits(folder / "artifacts", folder / "pages" / "report.html").shown(exhibit, "Oh no: it died")


@pytest.fixture
def artifacts(tmp_path: Path) -> Path:
    (tmp_path / "artifacts" / "m").mkdir(parents=True)
    (tmp_path / "pages").mkdir()
    return tmp_path / "artifacts" / "m"


def test_the_end_of_a_long_console_is_taken_in_with_the_crash_marked(artifacts: Path) -> None:
    lines = [*("x" * 99 for _ in range(3000)), "Oh no: it died", "[1.0] Kernel panic - not syncing: why"]
    (artifacts / "console.log").write_text("\n".join(lines))
    told = shown(artifacts.parents[1], "m/console.log", "console")
    assert len(told["text"]) == TEXT
    assert told["before"] == 3000 * 100 + 14 + 38 - TEXT
    assert [told["text"].split("\n")[number] for number in told["marks"]] == lines[-1:]
    assert told["link"] == "../artifacts/m/console.log"


def test_a_crash_of_another_kind_is_marked_by_what_the_machine_says_of_it(artifacts: Path) -> None:
    (artifacts / "console.log").write_text("up\nOh no: it died\nbye")
    assert shown(artifacts.parents[1], "m/console.log", "console")["marks"] == [1]


def test_a_picture_is_taken_in_when_it_is_one_and_not_too_large(artifacts: Path) -> None:
    for name, content in (("a", PNG), ("b", b"<svg onload=x>"), ("c", PNG + bytes(PICTURE))):
        (artifacts / f"{name}.png").write_bytes(content)
    told = [shown(artifacts.parents[1], f"m/{name}.png", "screenshot") for name in "abcd"]
    assert ["picture" in each for each in told] == [True, False, False, False]
    assert ["link" in each for each in told] == [True, True, True, False]


def test_a_page_takes_in_no_more_than_it_has_room_for(artifacts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exhibits, "PAGE", 5000)
    (artifacts / "a.png").write_bytes(PNG + bytes(3000))
    one = {"kind": "screenshot", "path": "m/a.png", "note": ""}
    page = Exhibits(artifacts.parent, artifacts.parents[1] / "report.html")
    assert ["picture" in page.shown(one, "") for _ in range(3)] == [True, False, False]


def test_nothing_outside_of_the_artifacts_is_taken_in(artifacts: Path) -> None:
    (artifacts.parents[1] / "secret").write_text("secret")
    (artifacts / "link").symlink_to(artifacts.parents[1] / "secret")
    for path in ("../secret", "m/link", "m/../../secret", str(artifacts.parents[1] / "secret"), "m", "m/\0"):
        told = shown(artifacts.parents[1], path, "console")
        assert "text" not in told
        assert "link" not in told


# -- the file


def test_the_data_cannot_end_the_element_it_is_in() -> None:
    page = render([hostile()])
    assert page.count("</script>") == 2
    assert page.count("<script") == 2
    assert "<img" not in page
    assert "\u2028" not in page
    page.encode("utf-8")


def test_a_page_gives_its_data_back(tmp_path: Path) -> None:
    run = hostile()
    write(tmp_path / "report.html", render([run, made_up(3)]))
    first, second = data_of(tmp_path / "report.html")
    assert first["title"] == HOSTILE[0]
    assert first["tests"] == run["tests"]
    assert second["title"] == "greeter"


def test_what_is_no_page_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.html").write_text("<html>")
    for path in (tmp_path / "other.html", tmp_path / "none.html"):
        with pytest.raises(HypervError, match="is no page of a run"):
            data_of(path)
    text = render([made_up(1, failed=0, skipped=0)])
    (tmp_path / "older.html").write_text(text.replace('"format":1', '"format":0'))
    with pytest.raises(HypervError, match="another version"):
        data_of(tmp_path / "older.html")
