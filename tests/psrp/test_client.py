"""What a session does, over every road."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import pytest

from pytest_hyperv.errors import CmdletError, CommandFailed, CommandTimeout, SessionLost
from pytest_hyperv.psrp.calls import Call, Command, Script, Select
from pytest_hyperv.psrp.client import Session
from pytest_hyperv.psrp.dotnet import Char, Credential, PSObject, ScriptText, Uri, Version, Xml
from pytest_hyperv.psrp.secret import Secret
from pytest_hyperv.psrp.values import UnsendableValue
from tests.psrp.lasting_pipe import LastingPipe
from tests.psrp.peer import vocabulary
from tests.psrp.roads import Road


def test_a_command_with_a_parameter_gives_its_output(session: Session) -> None:
    assert session.run(Command("Write-Output", InputObject=[1, "two", 3])).output == [1, "two", 3]


def test_commands_are_piped_with_their_parameters_as_values(session: Session) -> None:
    machines = [PSObject.of(Name="a'; Remove-Item", State=2, Other=1), PSObject.of(Name="b", State=3, Other=1)]
    statement = (
        Command("Write-Output", InputObject=machines)
        | Command("Where-Object", Property="State", EQ=True, Value=2)
        | Select("Name", "State")
    )
    found = session.run(statement).one
    assert (found.Name, found.State) == ("a'; Remove-Item", 2)
    assert "Other" not in found


def test_a_property_that_does_not_exist_comes_out_as_none(session: Session) -> None:
    assert session.run(Command("Write-Output", PSObject.of(A=1)) | Select("A", "B")).one.B is None


def test_every_stream_arrives_by_itself(session: Session) -> None:
    result = session.run(Script(vocabulary.STREAMS))
    assert result.output == ["out"]
    assert [error.message for error in result.errors] == ["err"]
    assert result.warnings == ["warn"]
    assert result.verbose == ["verb"]
    assert result.debug == ["dbg"]
    assert [(str(record), record.tags) for record in result.information] == [
        ("info", ("a", "b")),
        ("host", ("PSHOST",)),
    ]
    assert result.had_errors
    assert result.exit_code == 0
    assert result.failure is None


def test_progress_is_seen_while_it_happens(session: Session) -> None:
    with session.start(Script(vocabulary.STREAMS)) as running:
        progress = [item.value for item in running.items() if item.stream == "progress"]
    assert [(step.activity, step.percent, step.completed) for step in progress] == [
        ("act", 40, False),
        ("act", -1, True),
    ]


def test_output_can_be_read_before_the_call_has_ended(session: Session) -> None:
    with session.start(Script(vocabulary.SLEEP)) as running:
        assert next(running.items()).value == "started"
        running.stop()
        assert running.result().stopped


def test_a_terminating_error_ends_the_call_and_is_its_failure(session: Session) -> None:
    result = session.run(Script(vocabulary.THROW))
    assert result.failure is not None
    assert (result.failure.message, result.failure.category) == ("thrown", "OperationStopped")
    assert result.exit_code == 1
    with pytest.raises(CommandFailed, match="thrown"):
        result.check()


def test_a_cmdlet_that_fails_raises_with_the_fields_of_its_record(session: Session) -> None:
    with pytest.raises(CmdletError) as raised:
        session.call(Command("Get-Item", Path="/no/such/path"))
    error = raised.value
    assert error.error_id == "PathNotFound,Microsoft.PowerShell.Commands.GetItemCommand"
    assert (error.category, error.target, error.command) == ("ObjectNotFound", "/no/such/path", "Get-Item")
    assert "Get-Item" in error.position


def test_an_unknown_command_says_so(session: Session) -> None:
    with pytest.raises(CmdletError) as raised:
        session.call(Command("No-Such"))
    assert raised.value.error_id == "CommandNotFoundException"


def test_several_statements_are_one_call_that_stops_at_the_first_error(session: Session) -> None:
    first, second = Command("Write-Output", "first"), Command("Write-Output", "second")
    assert session.run(Call(first).then(second)).output == ["first", "second"]
    result = session.run(Call(first).then(Command("Get-Item", Path="/no/such/path")).then(second))
    assert result.output == ["first"]
    assert result.failure is not None


def test_a_non_terminating_error_lets_the_call_go_on(session: Session) -> None:
    result = session.run(Command("Get-Item", Path="/no/such/path"))
    assert result.failure is None
    assert len(result.errors) == 1


def test_exit_arrives_as_an_exit_code_and_the_session_lives(session: Session) -> None:
    result = session.run(Script(vocabulary.EXIT, 7))
    assert (result.output, result.exit_code) == (["before"], 7)
    assert session.run(Script(vocabulary.ECHO, "alive")).one == "alive"


def test_a_script_takes_named_and_positional_arguments(session: Session) -> None:
    assert session.run(Script(vocabulary.ECHO, "by position")).one == "by position"
    assert session.run(Script(vocabulary.ECHO, value="by name")).one == "by name"


def test_variables_stay_in_the_session(session: Session) -> None:
    session.run(Script(vocabulary.KEEP, 5))
    assert session.run(Script(vocabulary.KEPT)).one == 5


def test_input_is_streamed_object_by_object(session: Session) -> None:
    assert session.run(Script(vocabulary.DOUBLE), input=(number for number in (1, 2, 3))).output == [2, 4, 6]


def test_output_comes_while_input_still_goes_out(session: Session) -> None:
    given: list[int] = []

    def numbers() -> Iterator[int]:
        for number in range(2000):
            given.append(number)
            yield number

    with session.start(Script(vocabulary.DOUBLE), input=numbers()) as running:
        assert next(running.items()).value == 0
        assert len(given) < 2000


def test_large_bytes_go_in_as_pieces_and_none_is_lost(session: Session) -> None:
    assert session.run(Script(vocabulary.SUM), input=bytes(5_000_001)).one == 5_000_001


def test_large_bytes_come_out(session: Session) -> None:
    output = session.run(Script(vocabulary.BYTES, 3, 300_000)).output
    assert [len(piece) for piece in output] == [300_000] * 3


def test_a_pipeline_that_ends_before_its_input_does_is_no_error(session: Session) -> None:
    def endless() -> Iterator[int]:
        while True:
            yield 1

    assert session.run(Script(vocabulary.FIRST), input=endless()).one == 1
    assert session.run(Script(vocabulary.ECHO, "alive")).one == "alive"


@pytest.mark.parametrize("script", [vocabulary.SLEEP, vocabulary.BUSY])
def test_stop_leaves_the_session_usable(session: Session, script: str) -> None:
    with session.start(Script(script)) as running:
        assert next(running.items()).value == "started"
        running.stop()
        result = running.result()
    assert result.stopped
    assert result.errors == []
    assert session.run(Script(vocabulary.ECHO, "alive")).one == "alive"


def test_stop_may_come_from_another_thread(session: Session) -> None:
    with session.start(Script(vocabulary.SLEEP)) as running:
        items = running.items()
        assert next(items).value == "started"
        stopper = threading.Thread(target=running.stop)
        stopper.start()
        assert running.result().stopped
        stopper.join()


def test_a_call_that_does_not_end_is_stopped_at_its_deadline_and_the_session_lives(session: Session) -> None:
    with pytest.raises(CommandTimeout, match=r"did not end in 0\.3 s") as raised:
        session.run(Script(vocabulary.SLEEP), timeout=0.3)
    assert raised.value.timeout == 0.3
    assert session.run(Script(vocabulary.ECHO, "alive"), timeout=30).one == "alive"


def test_a_call_left_early_is_stopped(session: Session) -> None:
    with session.start(Script(vocabulary.SLEEP)) as running:
        assert next(running.items()).value == "started"
    assert session.run(Script(vocabulary.ECHO, "alive"), timeout=30).one == "alive"


def test_several_pipelines_run_at_once(road: Road) -> None:
    with road.session(max_runspaces=3) as session:
        sleepers = [session.start(Script(vocabulary.SLEEP)) for _ in range(2)]
        assert [next(sleeper.items()).value for sleeper in sleepers] == ["started"] * 2
        assert session.run(Script(vocabulary.ECHO, "beside them")).one == "beside them"
        for sleeper in sleepers:
            sleeper.stop()
            assert sleeper.result().stopped


def test_calls_from_several_threads_do_not_mix(session: Session) -> None:
    answers: dict[int, object] = {}

    def ask(number: int) -> None:
        answers[number] = [session.run(Script(vocabulary.ECHO, f"{number}.{turn}")).one for turn in range(5)]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {number: [f"{number}.{turn}" for turn in range(5)] for number in range(4)}


def test_a_secret_goes_in_and_comes_back_under_the_session_key(session: Session) -> None:
    assert session.run(Script(vocabulary.SECRET, Secret("correct horse"))).one == "correct horse"
    assert session.run(Script(vocabulary.SECRET_BACK, "battery")).one == Secret("battery")


def test_a_secret_among_the_input_needs_the_key_before(session: Session) -> None:
    with pytest.raises(UnsendableValue, match="session key"):
        session.run(Script(vocabulary.DOUBLE), input=[Secret("x")])
    assert session.run(Script(vocabulary.ECHO, "alive"), timeout=30).one == "alive"


def test_a_pipeline_that_ends_within_a_short_input_is_no_error(session: Session) -> None:
    assert [session.run(Script(vocabulary.FIRST), input=[turn, 2, 3]).one for turn in range(10)] == list(range(10))


def test_a_credential_goes_both_ways(session: Session) -> None:
    credential = Credential("dom\\user", Secret("pw"))
    assert session.run(Script(vocabulary.CREDENTIAL, credential)).output == ["dom\\user", "pw", credential]


def test_a_secret_that_comes_without_a_key_says_what_to_do(peer_road: Road) -> None:
    with peer_road.session() as session:
        with pytest.raises(CommandFailed, match="exchange_key"):
            session.run(Script(vocabulary.SECRET_BACK, "battery"))
        session.exchange_key()
        assert session.run(Script(vocabulary.SECRET_BACK, "battery")).one == Secret("battery")


def test_a_prompt_is_refused_and_fails_the_call(peer_road: Road) -> None:
    with peer_road.session() as session:
        result = session.run(Script(vocabulary.PROMPT))
        assert result.failure is not None
        assert "nobody to answer" in result.failure.message
        assert session.run(Script(vocabulary.ECHO, "alive")).one == "alive"


def test_typed_values_come_in_as_their_types(session: Session) -> None:
    day, version, uri, xml, char, bag, single, byte, block = session.run(Script(vocabulary.TYPES)).output
    assert (day, day.name, int(day), day.type_name) == ("Friday", "Friday", 5, "System.DayOfWeek")
    assert (version, uri, xml, char) == (Version(1, 2, 3, 4), Uri("http://a/b?c"), Xml('<a b="c" />'), Char("A"))
    assert (bag.A, bag.B, bag.C, single, byte, block) == (1, None, [1, 2], 1.5, 255, ScriptText(" 1 + 1 "))


def test_closing_stops_what_runs(road: Road) -> None:
    with road.pipe() as pipe:
        session = Session.open(pipe, timeout=60)
        running = session.start(Script(vocabulary.SLEEP))
        assert next(running.items()).value == "started"
        session.close()
        assert session.lost is not None
        with pytest.raises(SessionLost, match="closed"):
            session.run(Script(vocabulary.ECHO, "late"))
        session.close()


class CountingPipe(LastingPipe):
    """A pipe that counts the pieces sent."""

    sent = 0

    def send(self, data: bytes, timeout: float) -> None:
        self.sent += 1
        super().send(data, timeout)


def test_a_call_that_was_announced_ahead_is_one_piece(road: Road) -> None:
    with road.pipe() as pipe:
        counting = CountingPipe(pipe)
        session = Session.open(counting, timeout=60, ahead=True)
        pieces = []
        for turn in range(4):
            before = counting.sent
            assert session.run(Script(vocabulary.ECHO, turn)).one == turn
            pieces.append(counting.sent - before)
        session.leave()
    assert pieces == [2, 1, 1, 1]


def test_an_open_session_is_adopted_by_its_guid(road: Road) -> None:
    with road.pipe() as pipe:
        first = Session.open(LastingPipe(pipe), timeout=60, ahead=road.ahead)
        first.run(Script(vocabulary.KEEP, "still here"))
        first.run(Script(vocabulary.SECRET, Secret("one key")))
        identity = first.leave()
        with contextlib.closing(Session.adopt(pipe, identity, ahead=road.ahead)) as second:
            assert second.id == identity
            assert second.run(Script(vocabulary.KEPT)).one == "still here"
            assert second.run(Script(vocabulary.SECRET, Secret("another key"))).one == "another key"
