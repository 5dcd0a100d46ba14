"""Command lines for Windows: what a program makes of them is what was asked for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_hyperv.backends.hyperv.command_lines import arguments_of


def taken_apart(line: str) -> list[str]:
    """What CommandLineToArgvW makes of the arguments of a line, after its documentation's rules.

    2n backslashes before a quotation mark are n, and the mark begins or ends quoting; 2n + 1 are n and a mark that
    stands for itself; others stand for themselves. Outside of quoting, spaces and tabs separate.
    """
    arguments: list[str] = []
    current: list[str] = []
    quoted = begun = False
    backslashes = 0
    for char in line:
        if char == "\\":
            backslashes += 1
            begun = True
            continue
        if char == '"':
            current.append("\\" * (backslashes // 2))
            if backslashes % 2:
                current.append('"')
            else:
                quoted = not quoted
            backslashes, begun = 0, True
            continue
        current.append("\\" * backslashes)
        backslashes = 0
        if char in " \t" and not quoted:
            if begun:
                arguments.append("".join(current))
            current, begun = [], False
        else:
            current.append(char)
            begun = True
    current.append("\\" * backslashes)
    return [*arguments, "".join(current)] if begun else arguments


def shells_line(arguments: str) -> str:
    """What cmd.exe runs of the arguments ``/d /s /c ...``: with /s it takes off the first mark and the last."""
    options, mark, rest = arguments.partition('"')
    assert options == "/d /s /c "
    assert mark
    line, mark, after = rest.rpartition('"')
    assert mark
    assert not after
    return line


@pytest.mark.parametrize(
    ("line", "arguments"),
    [
        ('"a b c" d e', ["a b c", "d", "e"]),
        (r'"ab\"c" "\\" d', ['ab"c', "\\", "d"]),
        (r'a\\\b d"e f"g h', [r"a\\\b", "de fg", "h"]),
        (r"a\\\"b c d", [r"a\"b", "c", "d"]),
        (r'a\\\\"b c" d e', [r"a\\b c", "d", "e"]),
    ],
)
def test_the_reader_of_this_test_agrees_with_the_documented_examples(line: str, arguments: list[str]) -> None:
    """Examples of Microsoft's page "Parsing C command-line arguments"."""
    assert taken_apart(line) == arguments


@pytest.mark.parametrize(
    "argument",
    [
        "plain",
        "",
        " ",
        "two words",
        "tab\there",
        'a "quoted" word',
        '"',
        '""',
        "C:\\folder\\",
        "C:\\Program Files\\",
        'ends in backslash and mark\\"',
        "\\\\server\\share\\",
        '\\\\"\\\\',
        "line\nbreak",
        "%PATH% ^& | > < !",
        "Größe 日本語 🙂",
        "/flag=a b",
    ],
)
def test_an_argument_arrives_as_it_was_given(argument: str) -> None:
    assert taken_apart(arguments_of(["tool.exe", "first", argument, "last"])) == ["first", argument, "last"]


@given(st.lists(st.text(st.sampled_from('ab \t\\"') | st.characters(exclude_characters="\0")), max_size=5))
def test_any_list_of_arguments_arrives_as_it_was_given(arguments: list[str]) -> None:
    assert taken_apart(arguments_of(["tool.exe", *arguments])) == arguments


def test_the_program_itself_is_no_part_of_its_arguments() -> None:
    assert arguments_of(["C:\\Program Files\\tool.exe"]) == ""


@pytest.mark.parametrize("shell", ["cmd.exe", "cmd", "CMD.EXE", "C:\\Windows\\System32\\cmd.exe"])
@pytest.mark.parametrize(
    "line",
    [
        "dir",
        'echo "two words"',
        '"C:\\Program Files\\tool.exe" /x "a b"',
        'type C:\\folder\\ & echo "',
        "echo %PATH% | findstr \\",
        "",
    ],
)
def test_a_line_reaches_the_shell_as_it_was_written(shell: str, line: str) -> None:
    assert shells_line(arguments_of([shell, "/d", "/s", "/c", line])) == line


def test_words_after_the_shells_switch_are_one_line() -> None:
    assert shells_line(arguments_of(["cmd.exe", "/d", "/s", "/c", "echo", "a", "b"])) == "echo a b"
    assert arguments_of(["cmd.exe", "/D", "/S", "/K", "set", "x"]) == '/D /S /K "set x"'


def test_a_shell_without_a_line_and_a_program_with_the_switch_are_programs_like_any_other() -> None:
    assert arguments_of(["cmd.exe", "/d", "a b"]) == '/d "a b"'
    assert taken_apart(arguments_of(["tool.exe", "/c", 'say "x"'])) == ["/c", 'say "x"']
