"""Settings resolved from four places."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_hyperv.cache import default_cache, prepare_cache
from pytest_hyperv.errors import SettingsError
from pytest_hyperv.options import OPTIONS
from pytest_hyperv.settings import Settings, resolve
from pytest_hyperv.spec import GIB, MIB

VALUES = {
    "backend": ["auto", "hyperv", "qemu"],
    "image": ["debian-12", "windows"],
    "memory": ["64MiB", "1GiB"],
    "cpus": ["1", "2", "16"],
    "strict": ["0", "TRUE", "no", "on"],
    "spares": ["0", "1", "7"],
    "budget": ["vms=2", "memory=8GiB,cpus=4"],
    "room_timeout": ["10m", "2s", "1h"],
    "group": ["0", "yes"],
    "cache": ["/a", "/b/c"],
    "host": ["local", "winrm://admin@hv01", "ssh://hv02:2222"],
    "inventory": ["none"],
    "psdirect": ["host", "native"],
    "states_limit": ["20GiB", "500MB", "none"],
    "keep": ["failed", "all", "none"],
    "keep_for": ["4h", "90s", "1.5d"],
    "report": ["/a/report.html", "report.html"],
    "evidence": ["failed", "always", "never"],
    "artifacts": ["/a", "/b/c"],
    "dump": ["0", "TRUE", "no", "on"],
}
PARSERS = {option.name: option.parse for option in OPTIONS}
VARIABLES = {option.name: option.variable for option in OPTIONS}


def resolved(
    line: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
    ini: Mapping[str, str] | None = None,
) -> Settings:
    """Settings of these places; the environment goes by its variables' names."""
    lines = {f"hyperv_{name}": value for name, value in (line or {}).items()}
    files = {f"hyperv_{name}": value for name, value in (ini or {}).items()}
    return resolve(lines.get, environment or {}, lambda key: files.get(key, ""))


def test_every_option_is_a_field_and_every_field_an_option() -> None:
    assert [option.name for option in OPTIONS] == [field.name for field in fields(Settings)][:-3]
    assert set(VALUES) == set(PARSERS)


def test_the_names_of_an_option_follow_one_prefix() -> None:
    names = [(option.flag_name, option.key, option.variable) for option in OPTIONS]
    assert names[0] == ("--hyperv-backend", "hyperv_backend", "PYTEST_HYPERV_BACKEND")
    assert len({name for three in names for name in three}) == 3 * len(OPTIONS)


def test_nothing_said_is_all_defaults() -> None:
    settings = resolved()
    assert settings == Settings(
        "auto",
        "debian-12",
        512 * MIB,
        1,
        strict=False,
        spares=1,
        budget=None,
        room_timeout=600,
        group=False,
        cache=default_cache(),
        host="local",
        inventory=None,
        psdirect="host",
        states_limit=20 * GIB,
        keep="none",
        keep_for=4 * 3600.0,
        report=None,
        evidence="failed",
        artifacts=Path.cwd() / "hyperv-artifacts",
        dump=False,
    )
    assert settings.told() == []
    assert set(settings.origins.values()) == {"default"}


places = st.fixed_dictionaries({}, optional={name: st.sampled_from(values) for name, values in VALUES.items()})


@given(line=places, environment=places, ini=places)
def test_command_line_beats_environment_beats_ini_beats_default(
    line: dict[str, str], environment: dict[str, str], ini: dict[str, str]
) -> None:
    settings = resolved(line, {VARIABLES[name]: value for name, value in environment.items()}, ini)
    for option in OPTIONS:
        ordered = (
            ("command line", line),
            (f"environment {option.variable}", environment),
            ("ini file", ini),
            ("default", {option.name: option.default}),
        )
        origin, text = next((place, given[option.name]) for place, given in ordered if option.name in given)
        assert settings.origins[option.name] == origin
        assert getattr(settings, option.name) == option.parse(text)
        assert any(told.startswith(f"{option.name}=") for told in settings.told()) == (origin != "default")


@pytest.mark.parametrize(("text", "value"), [("1", True), ("Yes", True), ("on", True), ("0", False), ("OFF", False)])
def test_flags_are_words(text: str, value: bool) -> None:
    assert resolved(environment={"PYTEST_HYPERV_STRICT": text}).strict is value


def test_the_cache_may_begin_with_a_tilde_and_be_relative(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert resolved({"cache": "~/kept"}).cache == tmp_path / "kept"
    assert resolved({"cache": "here"}).cache == tmp_path / "here"


def test_the_cache_of_the_user_is_the_one_of_the_start_whatever_happens_to_home_later(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("PYTEST_HYPERV_CACHE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    settings = resolved()
    monkeypatch.setenv("HOME", "/elsewhere")
    assert settings.cache == tmp_path / ".cache" / "pytest-hyperv"


def test_a_user_without_a_home_folder_is_told_so_once_a_cache_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA", "PYTEST_HYPERV_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    settings = resolved()
    with pytest.raises(SettingsError, match="no home folder") as told:
        prepare_cache(settings.cache)
    assert "PYTEST_HYPERV_CACHE" in told.value.hint


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("backend", "QEMU"),
        ("memory", "lots"),
        ("memory", "1MiB"),
        ("cpus", "0"),
        ("cpus", "two"),
        ("cpus", "1.0"),
        ("cpus", "²"),
        ("cpus", "٣"),
        ("spares", "-1"),
        ("strict", "perhaps"),
        ("psdirect", "guest"),
    ],
)
def test_a_wrong_value_names_the_option_its_place_what_is_accepted_and_the_default(name: str, text: str) -> None:
    for place, said in (
        ("command line", ({name: text}, {}, {})),
        (f"environment {VARIABLES[name]}", ({}, {VARIABLES[name]: text}, {})),
        ("ini file", ({}, {}, {name: text})),
    ):
        with pytest.raises(SettingsError) as refused:
            resolved(*said)
        assert refused.value.message.startswith(f"--hyperv-{name} ({place}): {text!r} is n")
        assert "the default is " in refused.value.hint


def test_a_host_is_kept_as_one_spelling_of_its_address() -> None:
    assert resolved({"host": "winrm://hv01:5985?scheme=http&verify=yes"}).host == "winrm://hv01:5985/?scheme=http"


def test_a_host_with_a_password_is_refused_without_repeating_it() -> None:
    for text in ("winrm://admin:Pa55@hv01", "ssh://admin:Pa55/x@hv01", "winrm://hv01:Pa55", "Pa55"):
        with pytest.raises(SettingsError) as refused:
            resolved(environment={"PYTEST_HYPERV_HOST": text})
        assert refused.value.message.startswith("--hyperv-host (environment PYTEST_HYPERV_HOST): The ")
        assert refused.value.hint
        assert "Pa55" not in str(refused.value)
