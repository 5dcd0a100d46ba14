"""The console as text, and the last words in it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pytest_hyperv.backends.qemu.console import clean, panic_text

OOPS = """[    1.0] booting
[    9.0] hello: loaded
[   10.0] BUG: kernel NULL pointer dereference, address: 0000000000000000
[   10.1] RIP: 0010:hello_write+0x10/0x20 [hello]
[   10.2] Kernel panic - not syncing: Fatal exception
[   10.3] ---[ end Kernel panic - not syncing: Fatal exception ]---
"""


def test_the_last_words_begin_with_the_first_sign_of_the_crash() -> None:
    text = panic_text(OOPS)
    assert text.startswith("[   10.0] BUG: kernel NULL pointer")
    assert text.endswith("---[ end Kernel panic - not syncing: Fatal exception ]---")


def test_an_oops_long_before_the_panic_is_another_story() -> None:
    early = "[    5.0] BUG: something old\n" + "[    6.0] line\n" * 300
    text = panic_text(early + "[   20.0] Kernel panic - not syncing: sysrq triggered crash\n")
    assert text == "[   20.0] Kernel panic - not syncing: sysrq triggered crash"


def test_no_panic_no_words() -> None:
    assert panic_text("[    1.0] all is well\n") == ""


@given(st.binary(max_size=2000))
def test_no_console_can_control_a_terminal(raw: bytes) -> None:
    text = clean(raw)
    assert not any(ord(char) < 32 and char not in "\n\t" for char in text)
    assert "\x7f" not in text
