"""Windows paths of the simulated host, and the real files that stand for them below FOLDER/drives."""

from __future__ import annotations

import re
from pathlib import Path, PureWindowsPath

from tests.hvsim.host.failures import HostFailure

FORBIDDEN = re.compile(r'[<>:"|?*\x00-\x1f]')


class Drives:
    """The drives of a host: ``C:\\x\\y`` lives at ``FOLDER/drives/C/x/y``; names are matched in any case."""

    def __init__(self, folder: Path) -> None:
        self._root = folder / "drives"
        (self._root / "C").mkdir(parents=True, exist_ok=True)

    def normal(self, path: str) -> str:
        """The path with backslashes and without ``.``, ``..`` and a trailing separator; case is kept.

        Raises `HostFailure` for a relative path, an illegal character, or one that climbs out of its drive.
        """
        windows = PureWindowsPath(path.replace("/", "\\").removeprefix("\\\\?\\"))
        if not re.fullmatch(r"[A-Za-z]:", windows.drive) or not windows.root:
            raise _unusable(f"'{path}' is not an absolute path of this host.", path)
        parts: list[str] = []
        for part in windows.parts[1:]:
            if part == ".":
                continue
            if part == "..":
                if not parts:
                    raise _unusable(f"The path '{path}' leaves its drive.", path)
                parts.pop()
                continue
            if FORBIDDEN.search(part):
                raise _unusable("The filename, directory name, or volume label syntax is incorrect.", path)
            parts.append(part.rstrip(". ") or part)
        return windows.drive.upper() + "\\" + "\\".join(parts)

    def key(self, path: str) -> str:
        """What two spellings of one path have in common."""
        return self.normal(path).casefold()

    def resolve(self, path: str) -> Path:
        """The real file or folder that stands for a Windows path, existing or not.

        Raises `HostFailure` as `normal` does, and for a drive the host does not have.
        """
        normal = self.normal(path)
        real = self._root / normal[0]
        if not real.is_dir():
            raise _unusable(f"Cannot find drive. A drive with the name '{normal[0]}' does not exist.", path)
        for part in normal[3:].split("\\"):
            if part:
                real = self._child(real, part)
        return real

    def windows(self, real: Path) -> str:
        """The Windows path of a real file below the drives."""
        drive, *parts = real.relative_to(self._root).parts
        return f"{drive}:\\" + "\\".join(parts)

    def exists(self, path: str) -> bool:
        """Whether a file or folder is there."""
        return self.resolve(path).exists()

    def files_below(self, path: str) -> list[Path]:
        """All real files in a folder and in those below it."""
        folder = self.resolve(path)
        return sorted(file for file in folder.rglob("*") if file.is_file()) if folder.is_dir() else []

    @staticmethod
    def _child(folder: Path, name: str) -> Path:
        exact = folder / name
        if exact.exists() or not folder.is_dir():
            return exact
        wanted = name.casefold()
        return next((entry for entry in folder.iterdir() if entry.name.casefold() == wanted), exact)


def _unusable(message: str, path: str) -> HostFailure:
    return HostFailure(message, error_id="InvalidParameter", category="InvalidArgument", target=path)
