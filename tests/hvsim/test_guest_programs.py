"""Programs of the simulated guest, started through run-script.ps1 and run-program.ps1 as the package does it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest

from pytest_hyperv.backends.hyperv.scripts import text
from tests.hvsim.guest.files import program_paths
from tests.hvsim.guest.scripts import PROGRAMS
from tests.hvsim.guest.trial import Guest, make_trial


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guest]:
    """A session into a running guest."""
    with make_trial(tmp_path_factory.mktemp("host")).guest() as opened:
        yield opened


def test_the_streams_and_the_exit_code_come_apart(guest: Guest) -> None:
    result = guest.run("cmd.exe", "/d", "/c", "echo out& echo err>&2& exit 3")
    assert (result.stdout, result.stderr, result.returncode) == ("out\r\n", "err\r\n", 3)


def test_quotation_marks_reach_cmd_as_they_are(guest: Guest) -> None:
    assert guest.run("cmd.exe", "/d", "/s", "/c", 'echo "two  words"& echo done').stdout == '"two  words"\r\ndone\r\n'


def test_arguments_are_taken_apart_as_windows_does(guest: Guest) -> None:
    odd = ["$(x)", "a b", 'q"q', "", "*", "end\\", 'b\\"c d\\']
    assert guest.run("args.exe", *odd).stdout == "".join(f"{word}|" for word in odd)


def test_standard_input_comes_back_byte_for_byte(guest: Guest) -> None:
    data = bytes(range(256)) * 3000
    assert guest.run("cat.exe", InputBytes=data).stdout_bytes == data
    lines = b"".join(b"line %d\r\n" % number for number in range(20_000))
    assert guest.run("findstr.exe", "^", InputBytes=lines).stdout_bytes == lines


def test_folder_and_environment_reach_the_program(guest: Guest) -> None:
    result = guest.run(
        "cmd", "/c", "cd& echo %WORD%", WorkingDirectory=r"C:\Windows", Environment={"word": "said"}
    )  # fmt: skip
    assert result.stdout == "C:\\Windows\r\nsaid\r\n"


@pytest.mark.parametrize(
    ("name", "values", "why"),
    [
        ("no-such-program", {}, "The system cannot find the file specified"),
        (r"C:\Windows\System32\no.exe", {}, "The system cannot find the file specified"),
        ("cmd", {"WorkingDirectory": r"C:\absent"}, "The directory name is invalid"),
    ],
)
def test_what_cannot_be_started_is_a_failed_trailer(guest: Guest, name: str, values: dict[str, str], why: str) -> None:
    result = guest.ps(text("run-program"), FileName=name, Arguments="", **values)
    assert result.output == []
    assert result.failure is not None
    assert result.failure.error_id == "Win32Exception"
    assert why in result.failure.message


def test_a_program_past_its_time_is_ended_and_gone(guest: Guest) -> None:
    line = '/d /c "echo begun& ping.exe -n 4242 127.0.0.1 >nul"'
    result = guest.ps(text("run-program"), FileName="cmd.exe", Arguments=line, TimeoutSeconds=2.0)
    assert [piece.Data for piece in result.output[:-1]] == [b"begun\r\n"]
    assert result.output[-1].TimedOut
    assert "ping.exe" not in guest.run("tasklist.exe").stdout


def test_a_program_started_apart_runs_on_until_it_is_ended(guest: Guest) -> None:
    guest.run("cmd.exe", "/d", "/s", "/c", 'start "" /b ping.exe -n 4243 127.0.0.1 >nul 2>&1 <nul').check()
    sleepers = ["tasklist.exe", "/nh", "/fi", "imagename eq ping.exe"]
    assert "ping.exe" in guest.run(*sleepers).stdout
    assert guest.run("taskkill", "/f", "/im", "ping.exe")
    assert "ping.exe" not in guest.run(*sleepers).stdout
    assert guest.run("taskkill", "/f", "/im", "ping.exe").returncode == 128


def test_timeout_refuses_without_a_console(guest: Guest) -> None:
    result = guest.run("timeout.exe", "/t", "5")
    assert result.returncode == 1
    assert "Input redirection is not supported" in result.stderr


@pytest.mark.parametrize(
    ("line", "stdout"),
    [
        ("echo a&& echo b|| echo c", "a\r\nb\r\n"),
        ("exit /b 1 || echo no", ""),
        ("type C:\\absent.txt 2>nul|| echo none", "none\r\n"),
        ("(echo one& echo two)>C:\\g.txt& type C:\\g.txt", "one\r\ntwo\r\n"),
        ("echo x>C:\\a.txt& echo y>>C:\\a.txt& type C:\\a.txt", "x\r\ny\r\n"),
        ("if exist C:\\Windows (echo yes) else (echo no)", "yes\r\n"),
        ("if not exist C:\\absent echo right& echo both", "right\r\nboth\r\n"),
        ('if "%OS%"=="Windows_NT" echo windows', "windows\r\n"),
        ("echo b a& echo a", "b a\r\na\r\n"),
        ("echo ^<kept^>", "<kept>\r\n"),
        ("(echo b& echo a)| sort", "a\r\nb\r\n"),
        ("set X=1& cmd /c echo %PATHEXT%", ".COM;.EXE;.BAT;.CMD\r\n"),
        ("mkdir C:\\m\\n\\o& dir /b C:\\m\\n", "o\r\n"),
        ("echo t>C:\\t& copy /y C:\\t C:\\u >nul& del C:\\t& dir /a /b C:\\t 2>nul|| type C:\\u", "t\r\n"),
        ("echo 1>C:\\n.txt& type C:\\n.txt", "ECHO is on.\r\n"),
        ("rmdir /s /q C:\\m& if exist C:\\m (echo there) else echo gone", "gone\r\n"),
    ],
)  # fmt: skip
def test_lines_of_cmd(guest: Guest, line: str, stdout: str) -> None:
    assert guest.run("cmd.exe", "/d", "/s", "/c", line).stdout == stdout


def test_an_unknown_command_says_so(guest: Guest) -> None:
    result = guest.run("cmd.exe", "/c", "no-such-command now")
    assert result.returncode == 1
    assert "'no-such-command' is not recognized" in result.stderr


def test_a_batch_file_sees_its_arguments_and_its_folder(guest: Guest) -> None:
    lines = b"@echo off\r\necho %1-%~2 in %~dp0\r\nexit /b 7\r\n"
    guest.run("cmd", "/c", r"cat >C:\job.cmd", InputBytes=lines).check()
    result = guest.run(r"C:\job.cmd", line='one "two three"')
    assert (result.stdout, result.returncode) == ("one-two three in C:\\\r\n", 7)


def test_files_are_compared_and_measured(guest: Guest) -> None:
    guest.run("cmd", "/c", "echo same>C:\\f1& echo same>C:\\f2& echo other>C:\\f3")
    assert guest.run("fc", r"C:\f1", r"C:\f2")
    assert guest.run("fc", r"C:\f1", r"C:\f3").returncode == 1
    digest = hashlib.sha256(b"same\r\n").hexdigest()
    assert digest in guest.run("certutil.exe", "-hashfile", r"C:\f1", "SHA256").stdout
    assert not guest.run("certutil.exe", "-hashfile", r"C:\absent", "SHA256")


def test_tar_brings_a_tree_back(guest: Guest) -> None:
    guest.run(
        "cmd",
        "/c",
        "mkdir C:\\tree\\deep& echo first>C:\\tree\\one& echo second>C:\\tree\\deep\\two& mklink C:\\tree\\l one",
    )
    packed = guest.run("tar.exe", "-cf", "-", "-C", r"C:\tree", ".").check().stdout_bytes
    guest.run("cmd", "/c", r"mkdir C:\back")
    guest.run("tar.exe", "-xf", "-", "-C", r"C:\back", InputBytes=packed).check()
    assert guest.run("cmd", "/c", r"type C:\back\deep\two").stdout == "second\r\n"
    assert guest.run("cmd", "/c", r"type C:\back\l").stdout == "first\r\n"
    assert not guest.run("tar.exe", "-xf", "-", "-C", r"C:\absent", InputBytes=packed)


def test_services_and_registry_remember(guest: Guest) -> None:
    assert "STOPPED" in guest.run("sc.exe", "query", "wuauserv").stdout
    assert guest.run("sc.exe", "start", "wuauserv")
    assert "RUNNING" in guest.run("sc.exe", "query", "wuauserv").stdout
    assert guest.run("sc.exe", "start", "wuauserv").returncode == 1056
    assert guest.run("sc.exe", "query", "no-such-service").returncode == 1060
    guest.run("reg.exe", "add", r"HKLM\Software\Trial", "/v", "Name", "/t", "REG_SZ", "/d", "a value", "/f").check()
    assert "a value" in guest.run("reg.exe", "query", r"HKEY_LOCAL_MACHINE\Software\Trial", "/v", "Name").stdout
    assert guest.run("reg.exe", "query", r"HKLM\Software\Absent").returncode == 1


@pytest.mark.parametrize(
    ("arguments", "stdout", "code"),
    [
        (["-NoProfile", "-Command", "'a'; 'b'"], "a\r\nb\r\n", 0),
        (["-NoProfile", "-NonInteractive", "-Command", "exit 5"], "", 5),
        (["-ExecutionPolicy", "Bypass", "-File", r"C:\s.ps1", "given"], "got given\r\n", 6),
        (["-Command", "throw 'x'"], "", 1),
        (["-File", r"C:\absent.ps1"], "", -196608),
    ],
)
def test_powershell_is_a_program_too(guest: Guest, arguments: list[str], stdout: str, code: int) -> None:
    guest.run("cmd", "/c", r"cat >C:\s.ps1", InputBytes=b'param($w) "got $w"; exit 6').check()
    result = guest.run("powershell.exe", *arguments)
    assert (result.stdout, result.returncode) == (stdout, code)
    assert bool(result.stderr) == (code in (1, -196608))


def test_every_program_has_a_file_and_every_file_a_program() -> None:
    files = {path.rpartition("\\")[2].removesuffix(".exe") for path in program_paths()}
    assert files == set(PROGRAMS)
