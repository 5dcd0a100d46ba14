"""Addresses of hosts: what is read, what is refused, and that nothing refused is repeated."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_hyperv.backends.hyperv.address import HostAddress
from pytest_hyperv.errors import SettingsError
from pytest_hyperv.psrp.winrm_target import Authentication

HIDDEN = "hunter2"


def test_this_machine_is_local() -> None:
    address = HostAddress.parse("local")
    assert address == HostAddress()
    assert address.is_local
    assert (address.name, str(address)) == ("local", "local")


@pytest.mark.parametrize(
    ("text", "host", "user", "port"),
    [
        ("winrm://hv01", "hv01", "", 0),
        ("winrm://hv01.lab.local:5985/", "hv01.lab.local", "", 5985),
        (r"winrm://LAB\admin@hv01", "hv01", r"LAB\admin", 0),
        ("winrm://LAB%5Cadmin@hv01", "hv01", r"LAB\admin", 0),
        ("winrm://admin@lab.local@hv01", "hv01", "admin@lab.local", 0),
        ("ssh://tester@10.0.0.7:2222", "10.0.0.7", "tester", 2222),
        ("ssh://[fe80::1%eth0]:22", "fe80::1%eth0", "", 22),
        ("winrm://Jörg Müller@hv_01", "hv_01", "Jörg Müller", 0),
    ],
)
def test_host_user_and_port_are_read(text: str, host: str, user: str, port: int) -> None:
    address = HostAddress.parse(text)
    assert (address.host, address.user, address.port) == (host, user, port)
    assert address.road == text.partition(":")[0]
    assert not address.is_local
    assert address.name == host


def test_the_options_of_winrm_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    plain = HostAddress.parse("winrm://hv01")
    assert (plain.transport, plain.scheme, plain.verify, plain.ca) == ("ntlm", "https", True, None)
    told = HostAddress.parse("winrm://hv01/?transport=kerberos&scheme=http&verify=no&ca=ca%40lab.pem&cert=/c+d&key=/k")
    assert (told.transport, told.scheme, told.verify) == ("kerberos", "http", False)
    assert (told.ca, told.cert, told.key) == (tmp_path / "ca@lab.pem", Path("/c+d"), Path("/k"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (HIDDEN, "has another form"),
        ("", "has another form"),
        (f"hv01:{HIDDEN}", "has another form"),
        (f"http://{HIDDEN}", "has another form"),
        (f"winrm://admin:{HIDDEN}@hv01", "holds no password"),
        (f"winrm://admin%3A{HIDDEN}@hv01", "holds no password"),
        (f"winrm://admin:{HIDDEN}/?#@x@hv01", "holds no password"),
        (f"ssh://admin:{HIDDEN}@hv01", "holds no password"),
        (f"winrm://admin:{HIDDEN}", "port"),
        ("winrm://hv01:0", "port"),
        ("winrm://hv01:65536", "port"),
        ("winrm://hv01:٣", "port"),
        ("winrm://", "no name and no IP address"),
        ("winrm://hv01/path", "no name and no IP address"),
        ("winrm://fe80::1", "port"),
        ("winrm://hv 01", "no name and no IP address"),
        (f"winrm://hv01#{HIDDEN}", "no name and no IP address"),
        ("ssh://-oProxyCommand=id", "no name and no IP address"),
        ("ssh://[-fe80::1]", "no name and no IP address"),
        ("ssh://-oProxyCommand=id@hv01", "user"),
        ("ssh://%2Dl@hv01", "user"),
        ("winrm://@hv01", "user"),
        ("winrm://a%0Ab@hv01", "user"),
        (f"winrm://a/{HIDDEN}@hv01", "user"),
        (f"winrm://hv01/?password={HIDDEN}", "an option that WinRM does not have"),
        (f"winrm://hv01/?{HIDDEN}", "an option that WinRM does not have"),
        (f"winrm://hv01/?transport={HIDDEN}", "transport of a host's address is none of"),
        ("winrm://hv01/?verify=1", "verify of a host's address is none of yes, no"),
        ("winrm://hv01/?ca=", "ca of a host's address names no file"),
        ("ssh://hv01?x=1", "takes no options"),
    ],
)
def test_what_is_no_address_is_refused_and_not_repeated(text: str, reason: str) -> None:
    with pytest.raises(SettingsError) as refused:
        HostAddress.parse(text)
    assert reason in refused.value.message
    assert HIDDEN not in str(refused.value) + repr(refused.value)


def test_where_a_password_goes_is_in_the_hint() -> None:
    with pytest.raises(SettingsError) as refused:
        HostAddress.parse(f"winrm://admin:{HIDDEN}@hv01")
    assert "PYTEST_HYPERV_HOST_PASSWORD" in refused.value.hint


names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9-]{0,8}[a-z0-9](\.lab)?", fullmatch=True)
users = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"], exclude_characters='/?#":'), max_size=12)
files = st.none() | st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=12).map(
    lambda name: Path("/", name.replace("/", "_")).absolute()
)


@given(
    road=st.sampled_from(["winrm", "ssh"]),
    host=names | st.just("fe80::1"),
    user=users.filter(lambda user: not user.startswith("-")),
    port=st.integers(0, 65535),
    transport=st.sampled_from(get_args(Authentication)),
    scheme=st.sampled_from(["http", "https"]),
    verify=st.booleans(),
    ca=files,
)
def test_an_address_reads_as_it_is_written(road: str, host: str, user: str, port: int, **options: object) -> None:
    told = options if road == "winrm" else {}
    address = HostAddress(road, host, user, port, **told)  # type: ignore[arg-type]
    assert HostAddress.parse(str(address)) == address
