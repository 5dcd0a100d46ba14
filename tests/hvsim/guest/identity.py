"""Who a simulated guest says it is, and the environment that its programs start with."""

from __future__ import annotations

from tests.hvsim.guest.files import HOME, SYSTEM32, TEMP, TOOLS

COMPUTER = "SIMGUEST"
OS_VERSION = "10.0.26100.0"
OS_NAME = "Microsoft Windows Server 2025 Standard"
POWERSHELL_VERSION = "5.1.26100.1742"
POWERSHELL_EDITION = "Desktop"


def environment(user: str) -> dict[str, str]:
    """The variables of a program that `user` starts; Windows looks them up in any case."""
    return {
        "ALLUSERSPROFILE": r"C:\ProgramData",
        "COMPUTERNAME": COMPUTER,
        "ComSpec": SYSTEM32 + r"\cmd.exe",
        "NUMBER_OF_PROCESSORS": "2",
        "OS": "Windows_NT",
        "Path": rf"{SYSTEM32};C:\Windows;{SYSTEM32}\WindowsPowerShell\v1.0\;{TOOLS}",
        "PATHEXT": ".COM;.EXE;.BAT;.CMD",
        "PROCESSOR_ARCHITECTURE": "AMD64",
        "ProgramData": r"C:\ProgramData",
        "ProgramFiles": r"C:\Program Files",
        "SystemDrive": "C:",
        "SystemRoot": r"C:\Windows",
        "TEMP": TEMP,
        "TMP": TEMP,
        "USERDOMAIN": COMPUTER,
        "USERNAME": user,
        "USERPROFILE": HOME,
        "windir": r"C:\Windows",
    }


def variable(variables: dict[str, str], name: str) -> str | None:
    """An environment variable, in any case."""
    return next((value for known, value in variables.items() if known.casefold() == name.casefold()), None)


def with_variable(variables: dict[str, str], name: str, value: str | None) -> dict[str, str]:
    """The variables with one set, or removed when `value` is None."""
    kept = {known: old for known, old in variables.items() if known.casefold() != name.casefold()}
    return kept if value is None else {**kept, name: value}
