"""A failed assertion about a guest's command says what was run, how it ended, and what it said."""

from __future__ import annotations

import pytest

from tests.plugin.conftest import Bed

COMMAND = 'hyperv_vm.sh("echo seen; echo the reason >&2; exit 3")'
START = "<`sh -c 'echo seen; echo the reason >&2; exit 3'` returned 3 after "
END = r"s; stderr 'the reason\n'; stdout 'seen\n'>"


@pytest.mark.parametrize(
    "assertion",
    [
        "assert result",
        "assert result.returncode == 0",
        "assert result.stdout == 'something else'",
        "assert result.stdout.strip() == 'something else'",
        "assert 'else' in result.stdout",
        "assert not result.stderr",
    ],
)
def test_it_is_in_the_message_of(bed: Bed, assertion: str) -> None:
    bed.suite(f"def test_it(hyperv_vm):\n    result = {COMMAND}\n    {assertion}")
    result = bed.run("--hyperv-evidence=never")
    told = "".join(line[1:].strip() for line in result.outlines if line.startswith("E "))
    assert START in told
    assert END in told


def test_a_text_that_no_command_wrote_is_ascribed_to_none(bed: Bed) -> None:
    bed.suite(
        """
        def test_it(hyperv_vm):
            assert hyperv_vm.run(["echo", "one"]).stdout == "one\\n"
            assert "two" == "three"
        """
    )
    result = bed.run("--hyperv-evidence=never")
    result.assert_outcomes(failed=1)
    assert "of <`echo one`" not in result.stdout.str()


def test_a_result_that_is_compared_itself_explains_itself_and_says_what_to_compare(bed: Bed) -> None:
    bed.suite(
        f"""
        def test_number(hyperv_vm): assert {COMMAND} == 0

        def test_text(hyperv_vm): assert {COMMAND} == "seen"

        def test_other(hyperv_vm): assert {COMMAND} == hyperv_vm.run(["true"])
        """
    )
    result = bed.run("--hyperv-evidence=never")
    result.assert_outcomes(failed=3)
    result.stdout.fnmatch_lines(
        [
            "E * the result == 0",
            "E * a CommandResult is no number: compare its .returncode, or assert the result itself",
            "E * `sh -c 'echo seen; echo the reason >&2; exit 3'` returned 3 after *",
            "E * stdout:",
            "E *   seen",
            "E * stderr:",
            "E *   the reason",
            "E * the result == 'seen'",
            "E * a CommandResult is no text: compare its .stdout or .stderr",
            "E * the result == the result",
        ]
    )
