"""Secrets that the run knows do not get into what it keeps."""

from __future__ import annotations

import base64
import gc
from urllib.parse import quote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pytest_hyperv.psrp.secret import Secret, secrets_in_use
from pytest_hyperv.redaction import MASK, Redactor, secret_values

SECRETS = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FFF), min_size=8, max_size=20)
AROUND = st.text("xyz \n", max_size=8)


@given(SECRETS, AROUND, AROUND)
def test_a_secret_is_masked_wherever_it_stands(secret: str, before: str, after: str) -> None:
    assume(secret not in before + after)
    assert Redactor([secret]).text(before + secret + after) == before + MASK + after


@given(SECRETS)
def test_it_is_found_in_other_spellings(secret: str) -> None:
    redactor = Redactor([secret])
    encoded = base64.b64encode(secret.encode()).decode()
    assert encoded.rstrip("=")[:-1] not in redactor.text(f"Authorization: {encoded}")
    assert quote(secret, safe="") not in redactor.text(f"https://x/{quote(secret, safe='')}/y")


@given(SECRETS, st.binary(max_size=9), st.binary(max_size=9), st.sampled_from(["utf-8", "utf-16-le"]))
def test_it_is_found_in_base64_with_something_around_it(secret: str, before: bytes, after: bytes, coding: str) -> None:
    data = secret.encode(coding)
    told = base64.b64encode(before + data + after).decode()
    hidden = Redactor([secret]).text(told)
    assert MASK in hidden
    assert len(hidden.replace(MASK, "")) <= len(told) - len(data) * 8 // 6 + 2


@given(SECRETS, st.integers(4, 20))
def test_a_secret_cut_in_two_is_masked_at_the_cut(secret: str, length: int) -> None:
    redactor, length = Redactor([secret]), min(length, len(secret) - 1)
    assert secret[:length] not in redactor.text("said: " + secret[:length], cut_end=True)
    assert secret[-length:] not in redactor.text(secret[-length:] + " was said", cut_start=True)


@given(SECRETS, st.binary(max_size=20))
def test_files_keep_their_length(secret: str, around: bytes) -> None:
    for coding in ("utf-8", "utf-16-le"):
        data = around + secret.encode(coding) + around
        hidden = Redactor([secret]).data(data)
        assert len(hidden) == len(data)
        assert secret.encode(coding) not in hidden


def test_each_line_of_a_key_counts() -> None:
    key = "-----BEGIN KEY-----\nMIIEvgIBADANBg\nkqhkiG9w0BAQE\n-----END KEY-----\n"
    assert "MIIEvgIBADANBg" not in Redactor([key]).text("| MIIEvgIBADANBg")


def test_what_is_too_short_to_be_told_from_other_text_stays() -> None:
    assert Redactor(["abc"]).text("abcabc") == "abcabc"


@pytest.mark.parametrize(
    "name", ["PYTEST_HYPERV_HOST_PASSWORD", "GITHUB_TOKEN", "client_secret", "AWS_SECRET_ACCESS_KEY", "API_KEY", "PASS"]
)
def test_a_variable_that_says_so_holds_a_secret(name: str) -> None:
    assert secret_values({name: "s3cret-value"}) == {"s3cret-value"}


@pytest.mark.parametrize("name", ["PATH", "HOME", "KEYBOARD", "PASSENGER", "MONKEY"])
def test_another_variable_does_not(name: str) -> None:
    assert secret_values({name: "s3cret-value"}) == set()


def test_a_secret_is_known_as_long_as_somebody_holds_it() -> None:
    one, same = Secret("held-by-a-test"), Secret("held-by-a-test")
    assert "held-by-a-test" in secrets_in_use()
    del one
    gc.collect()
    assert "held-by-a-test" in secrets_in_use()
    del same
    gc.collect()
    assert "held-by-a-test" not in secrets_in_use()
