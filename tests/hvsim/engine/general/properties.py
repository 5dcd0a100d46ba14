"""Reading properties of objects, strictly: a name that an object does not have is refused.

PowerShell gives null for it without a word, so a misspelt name would go unseen; the simulated host says so.
"""

from __future__ import annotations

from tests.hvsim.contract import CommandContract
from tests.hvsim.engine import errors
from tests.hvsim.engine.general.comparison import wildcard
from tests.hvsim.engine.values import Noted
from tests.hvsim.values import NOTHING, NetObject, net_type
from tests.psrp.peer.records import ShellError


def names(value: object) -> list[str]:
    """The properties that a value has."""
    if isinstance(value, Noted):
        return [*names(value.value), *value.notes]
    if isinstance(value, NetObject):
        return list(value.properties)
    if isinstance(value, dict):
        return [*map(str, value), "Count", "Keys", "Values"]
    if isinstance(value, (str, bytes)):
        return ["Length"]
    return ["Count", "Length"] if isinstance(value, (list, tuple)) else []


def find(value: object, name: str) -> object:
    """The property in any case, or `NOTHING`."""
    if isinstance(value, Noted):
        noted = next((note for key, note in value.notes.items() if key.casefold() == name.casefold()), NOTHING)
        return find(value.value, name) if noted is NOTHING else noted
    if isinstance(value, NetObject):
        return value.property(name)
    if isinstance(value, dict):
        found = next((entry for key, entry in value.items() if str(key).casefold() == name.casefold()), NOTHING)
        built_in = {"count": len(value), "keys": list(value), "values": list(value.values())}
        return built_in.get(name.casefold(), NOTHING) if found is NOTHING else found
    if isinstance(value, (str, bytes)) and name.casefold() == "length":
        return len(value)
    if isinstance(value, (list, tuple)) and name.casefold() in ("count", "length"):
        return len(value)
    return NOTHING


def read(value: object, name: str, command: CommandContract) -> object:
    """The property. Raises ShellError when the value has none of that name."""
    found = find(value, name)
    if found is NOTHING:
        raise unknown(value, name, command)
    return found


def unknown(value: object, name: str, command: CommandContract) -> ShellError:
    """The refusal of a name that the value does not have."""
    kind = "null" if value is None else net_type(value)
    has = ", ".join(names(value)) or "none"
    return errors.refusal(
        command,
        f'{kind} has no property "{name}"; its properties are: {has}.',
        "UnknownProperty",
        "InvalidArgument",
        name,
    )


def fitting(value: object, pattern: str, command: CommandContract) -> list[str]:
    """The properties that a name, or a wildcard, means. Raises ShellError when a plain name means none."""
    if any(character in pattern for character in "*?["):
        matcher = wildcard(pattern)
        return [name for name in names(value) if matcher.fullmatch(name)]
    exact = next((name for name in names(value) if name.casefold() == pattern.casefold()), None)
    if exact is None:
        raise unknown(value, pattern, command)
    return [exact]
