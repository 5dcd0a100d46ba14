"""Secrets taken out of what is kept of a test.

A secret is what the run itself uses as one (``psrp.secret.Secret``: passwords of hosts and guests), the value of an
environment variable of the run or of a guest command whose name says so, and nothing shorter than four characters.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote

from pytest_hyperv.psrp.secret import secrets_in_use

SHORTEST = 4
"""Characters of the shortest secret that is looked for: a shorter one would be found everywhere."""
SHORTEST_VARIABLE = 6
"""The same for a value that counts as one because of its variable's name."""
MASK = "***"
_NAME = re.compile(r"PASS(WORD|WD|PHRASE)?(_|$)|SECRET|TOKEN|CREDENTIAL|(API|ACCESS|PRIVATE|SIGNING|ENCRYPTION)_?KEY")


def secret_values(environment: Mapping[str, str]) -> set[str]:
    """The values of those variables whose name says that they hold a secret."""
    return {
        value
        for name, value in environment.items()
        if len(value) >= SHORTEST_VARIABLE and _NAME.search(name.upper()) is not None and "/" not in value[:1]
    }


def redactor_of_run(more: Iterable[str] = ()) -> Redactor:
    """What takes out the secrets that this process knows now, and ``more``."""
    return Redactor({*secrets_in_use(), *secret_values(os.environ), *more})


class Redactor:
    """Replaces secrets as they are, percent-encoded, and in base64 (of UTF-8 and of UTF-16, as PowerShell writes it).

    Base64 is found where the secret alone was encoded, or with something before it: see the tests.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form for secret in secrets for form in _forms(secret)}
        self._forms = sorted(forms, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, self._forms))) if forms else None
        wide = {form.encode(coding) for form in forms for coding in ("utf-8", "utf-16-le")}
        self._bytes = re.compile(b"|".join(map(re.escape, sorted(wide, key=len, reverse=True)))) if forms else None

    def text(self, text: str, *, cut_start: bool = False, cut_end: bool = False) -> str:
        """``text`` without the secrets; at an end where it was ``cut``, without the part of one that is left there."""
        if self._pattern is None:
            return text
        text = self._pattern.sub(MASK, text)
        if cut_end:
            text = _without_part(text, self._forms)
        if cut_start:
            text = _without_part(text[::-1], [form[::-1] for form in self._forms])[::-1]
        return text

    def data(self, data: bytes) -> bytes:
        """``data`` with asterisks in the secrets' place, as long as it was."""
        if self._bytes is None:
            return data
        return self._bytes.sub(lambda found: b"*" * len(found.group()), data)


def _forms(secret: str) -> set[str]:
    """The spellings of a secret; each line of a longer one, a key for example, counts by itself."""
    lines = [line.strip() for line in secret.splitlines()] if "\n" in secret.strip() else [secret]
    found = set()
    for line in (line for line in lines if len(line) >= SHORTEST):
        found |= {line, quote(line, safe="")}
        for coding in ("utf-8", "utf-16-le"):
            found |= _base64(line.encode(coding, "surrogatepass"))
    return {form for form in found if len(form) >= SHORTEST}


def _base64(data: bytes) -> set[str]:
    """What stands in base64 for ``data`` whatever is before and after it, by where in a group of three it begins."""
    found = set()
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + data).decode("ascii")
        first = -(-before * 8 // 6)
        last = (before + len(data)) * 8 // 6
        if last - first >= 2 * SHORTEST:
            found.add(encoded[first:last])
    return found


def _without_part(text: str, forms: Iterable[str]) -> str:
    """``text`` without the beginning of a secret at its end."""
    for form in forms:
        for length in range(min(len(form) - 1, len(text)), SHORTEST - 1, -1):
            if text.endswith(form[:length]):
                return text[:-length] + MASK
    return text
