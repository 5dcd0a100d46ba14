"""tar.exe of the guest: archives of its files, to and from files and standard streams."""

from __future__ import annotations

import io
import ntpath
import tarfile

from tests.hvsim.guest.command_line import split_arguments
from tests.hvsim.guest.events import STDERR, STDOUT, Out, Running, Start, text
from tests.hvsim.guest.files import Found, GuestFileError, GuestFiles, absolute

PIECE = 1 << 16
FOLDER_MODE, FILE_MODE = 0o755, 0o644


def tar(start: Start) -> Running:
    """``-c`` and ``-x`` with ``-f FILE`` (``-``: standard stream), ``-C FOLDER``, and for ``-c`` what to put in."""
    letters, archive, folder, names = _options(split_arguments(start.arguments), start.folder)
    if "c" in letters:
        with start.system.open() as guest:
            data = _packed(guest.files, folder, names, compressed="z" in letters)
            if archive != "-":
                guest.files.write(absolute(archive, start.folder), data)
        if archive == "-":
            for place in range(0, len(data), PIECE):
                yield Out(STDOUT, data[place : place + PIECE])
        return 0
    with start.system.open() as guest:
        data = start.stdin if archive == "-" else guest.files.read(absolute(archive, start.folder))
        if not guest.files.is_folder(folder):
            trouble = f"tar: could not chdir to '{folder}'"
        else:
            trouble = _unpacked(guest.files, data, folder)
    if trouble:
        yield from text(STDERR, trouble)
        return 1
    return 0


def _options(arguments: list[str], folder: str) -> tuple[str, str, str, list[str]]:
    letters, archive, names = "", "-", list[str]()
    rest = iter(arguments)
    for argument in rest:
        if argument == "-C":
            folder = absolute(next(rest), folder)
        elif argument.startswith("--"):
            continue
        elif argument.startswith("-") and argument != "-":
            letters += argument[1:]
            if argument.endswith("f"):
                archive = next(rest)
        else:
            names.append(argument)
    return letters, archive, folder, names


def _packed(files: GuestFiles, folder: str, names: list[str], *, compressed: bool) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz" if compressed else "w", format=tarfile.PAX_FORMAT) as archive:
        for name in names:
            path = absolute(name, folder)
            found = files.stat(path)
            if found is None:
                raise GuestFileError(2, path)
            _add(archive, files, found, name.replace("\\", "/"))
    return buffer.getvalue()


def _add(archive: tarfile.TarFile, files: GuestFiles, found: Found, name: str) -> None:
    member = tarfile.TarInfo(name)
    member.mtime = int(found.modified)
    member.mode = FOLDER_MODE if found.kind == "directory" else FILE_MODE
    if found.kind == "symlink":
        member.type, member.linkname = tarfile.SYMTYPE, files.link(found.path).replace("\\", "/")
        archive.addfile(member)
    elif found.kind == "file":
        data = files.read(found.path)
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    else:
        member.type = tarfile.DIRTYPE
        archive.addfile(member)
        for inner in files.listdir(found.path):
            _add(archive, files, inner, f"{name}/{inner.name}")


def _unpacked(files: GuestFiles, data: bytes, folder: str) -> str:
    """Put the members into the folder; what went wrong, "" when nothing did."""
    try:
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            for member in archive:
                path = absolute(member.name, folder)
                files.make_folder(path if member.isdir() else ntpath.dirname(path))
                if member.issym():
                    files.make_link(path, member.linkname.replace("/", "\\"))
                elif member.isreg():
                    content = archive.extractfile(member)
                    files.write(path, content.read() if content else b"")
    except (tarfile.TarError, EOFError) as error:
        return f"tar: Error opening archive: {error}"
    except GuestFileError as error:
        return f"tar: {error.path}: {error.text}"
    return ""
