"""Where a WinRM service is: what is refused before anything is sent, and that no password can be seen."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from pytest_hyperv.errors import SettingsError
from pytest_hyperv.psrp.secret import Secret
from pytest_hyperv.psrp.winrm_connection import WinRMConnection
from pytest_hyperv.psrp.winrm_target import WinRMTarget

PASSWORD = "hunter2"


def target(host: str = "hv1", user: str = "admin", password: str = PASSWORD, **options: Any) -> WinRMTarget:
    return WinRMTarget(host, user, Secret(password), **options)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"transport": "basic", "scheme": "http"}, "in the clear"),
        ({"transport": "certificate", "scheme": "http"}, "needs HTTPS"),
        ({"transport": "certificate"}, "certificate for hv1 must be a PEM file, it is None"),
        (
            {"transport": "certificate", "certificate": Path("/nowhere.pem")},
            r"must be a PEM file, it is .*nowhere\.pem",
        ),
        ({"transport": "ntlm", "user": ""}, "needs a user"),
        ({"transport": "basic", "password": "日本"}, "Latin-1"),
        ({"host": ""}, "needs a host"),
    ],
)
def test_what_could_not_work_or_is_not_safe_is_refused(options: dict[str, Any], text: str) -> None:
    with pytest.raises(SettingsError, match=text):
        target(**options)


def test_basic_over_http_is_possible_for_those_who_insist() -> None:
    insisted = target(transport="basic", scheme="http", allow_plaintext=True)
    assert insisted.endpoint == "http://hv1:5985/wsman"


def test_kerberos_needs_no_user() -> None:
    assert target(user="", transport="kerberos").user == ""


def test_a_certificate_needs_its_key_as_well(tmp_path: Path) -> None:
    for name in ("user.pem", "user.key"):
        (tmp_path / name).touch()
    with pytest.raises(SettingsError, match="certificate_key"):
        target(transport="certificate", certificate=tmp_path / "user.pem")
    both = target(transport="certificate", certificate=tmp_path / "user.pem", certificate_key=tmp_path / "user.key")
    assert both.endpoint == "https://hv1:5986/wsman"


@pytest.mark.parametrize(
    ("options", "endpoint"),
    [
        ({}, "https://hv1:5986/wsman"),
        ({"scheme": "http"}, "http://hv1:5985/wsman"),
        ({"port": 443}, "https://hv1:443/wsman"),
        ({"host": "fe80::1"}, "https://[fe80::1]:5986/wsman"),
    ],
)
def test_the_endpoint_is_https_unless_told_otherwise(options: dict[str, Any], endpoint: str) -> None:
    assert target(**options).endpoint == endpoint


def test_certificates_are_validated_unless_told_otherwise() -> None:
    assert target().verify
    assert target().transport == "ntlm"


@pytest.mark.parametrize(("transport", "flag"), [("credssp", "HAVE_CREDSSP"), ("kerberos", "HAVE_KERBEROS")])
def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, transport: str, flag: str) -> None:
    monkeypatch.setattr(f"winrm.transport.{flag}", False)
    with pytest.raises(SettingsError, match=f"WinRM with {transport} needs a package") as missing:
        WinRMConnection(target(transport=transport))
    assert missing.value.hint == f"pip install pywinrm[{transport}]"


def test_a_password_is_in_no_repr_and_in_no_error() -> None:
    secret = Secret(PASSWORD)
    assert PASSWORD not in f"{secret} {secret!r} {target()!r} {target()}"
    with pytest.raises(SettingsError) as refused:
        target(transport="basic", scheme="http")
    assert PASSWORD not in f"{refused.value} {refused.value!r}"


def test_secrets_compare_by_what_they_hold() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a"), Secret("\ud800")}) == 2
    assert not Secret("")
    assert Secret("a").reveal() == "a"


def test_a_secret_is_not_pickled() -> None:
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(Secret(PASSWORD))
