"""One Windows command line to the arguments a program sees, by the rules of CommandLineToArgvW."""

from __future__ import annotations


def split_arguments(line: str) -> list[str]:
    """The arguments in `line`, which does not hold the program's own name.

    2n backslashes before a quote are n backslashes and the quote opens or closes; 2n+1 are n and a literal quote;
    ``""`` within quotes is one literal quote (Microsoft C runtime since 2008).
    """
    found: list[str] = []
    place = 0
    while True:
        while place < len(line) and line[place] in " \t":
            place += 1
        if place == len(line):
            return found
        argument, place = _one(line, place)
        found.append(argument)


def _one(line: str, place: int) -> tuple[str, int]:
    text, quoted = "", False
    while place < len(line) and (quoted or line[place] not in " \t"):
        if line[place] == "\\":
            end = place
            while end < len(line) and line[end] == "\\":
                end += 1
            count = end - place
            if end < len(line) and line[end] == '"':
                text += "\\" * (count // 2)
                if count % 2:
                    text, end = text + '"', end + 1
            else:
                text += "\\" * count
            place = end
        elif line[place] == '"':
            if quoted and line[place + 1 : place + 2] == '"':
                text, place = text + '"', place + 2
            else:
                quoted, place = not quoted, place + 1
        else:
            text, place = text + line[place], place + 1
    return text, place
