"""Marker arguments into what a test wants: a machine's spec, its requirements, and how long the machine is shared."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, get_args

from pytest_hyperv.capabilities import NAMES, Requirements
from pytest_hyperv.errors import MarkerError
from pytest_hyperv.options import BACKENDS, MARKERS
from pytest_hyperv.settings import Settings
from pytest_hyperv.sizes import parse_memory, parse_size
from pytest_hyperv.spec import CheckpointType, MachineSpec, Reset
from pytest_hyperv.states.declared import State


@dataclass(frozen=True)
class Wish:
    """What a test asked for.

    ``image`` is "" when it named none, and that of ``state`` when it named one; ``timeout`` in seconds is what its
    commands may take; ``evidence`` are paths in the guest that are kept when it fails.
    """

    spec: MachineSpec
    requirements: Requirements
    reset: Reset = "test"
    timeout: float = 60.0
    image: str = ""
    backend: str = ""
    state: State | None = None
    evidence: tuple[str, ...] = ()

    @property
    def kind(self) -> tuple[str, MachineSpec, State | None]:
        """What machines serve alike: the backend that was named, the spec, and the state they start from."""
        return self.backend, self.spec, self.state

    def on_image(self, default: str) -> Wish:
        """The same wish, on the image ``default`` when it names none."""
        return self if self.image else replace(self, spec=replace(self.spec, image=default))


class Marked(Protocol):
    """A collected test, as far as its markers go."""

    def iter_markers(self) -> Iterator[Any]:
        """Its markers, the nearest first."""
        ...


@dataclass(frozen=True)
class Mark:
    """A marker's name and arguments."""

    name: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]


def _one_of(*allowed: object) -> Callable[[object], Any]:
    def check(value: object) -> object:
        if value not in allowed or isinstance(value, bool) != any(value is known for known in (True, False)):
            raise ValueError(f"{value!r} is none of {', '.join(map(repr, allowed))}")
        return value

    return check


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{value!r} is neither True nor False")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{value!r} is no name")
    return value


def _positive(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{value!r} is no whole number of at least 1")
    return value


def _seconds(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < math.inf:
        raise ValueError(f"{value!r} is no number of seconds")
    return float(value)


def _generation(value: object) -> int:
    if value != 2:
        raise ValueError(f"{value!r} is not supported: machines are of generation 2")
    return 2


def _secure_boot(value: object) -> str:
    words = {True: "on", False: "off", "windows": "windows", "uefi-ca": "uefi-ca"}
    if not isinstance(value, bool | str) or value not in words:
        raise ValueError(f'{value!r} is none of True, False, "windows", "uefi-ca"')
    return words[value]


def _network(value: object) -> str:
    name = _text(value)
    if name not in ("none", "private", "nat") and not (name.startswith("switch:") and len(name) > len("switch:")):
        raise ValueError(f'{value!r} is none of "none", "private", "nat", "switch:NAME"')
    return name


def _state(value: object) -> State:
    if isinstance(value, State):
        return value
    if callable(value):
        raise ValueError(f"{getattr(value, '__name__', repr(value))} is a function without @hyperv_state")
    raise ValueError(f"{value!r} is no state: give the function itself that @hyperv_state decorates")


def _tags(value: object) -> frozenset[str]:
    words = [value] if isinstance(value, str) else value
    if not isinstance(words, list | tuple | set | frozenset) or not all(isinstance(tag, str) and tag for tag in words):
        raise ValueError(f"{value!r} is no list of words")
    return frozenset(words)


def _paths(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise ValueError(f"{value!r} is no list of paths in the guest")
    return tuple(map(_path, value))


def _path(value: object) -> str:
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError(f"{value!r} is no path in the guest")
    return value


def _range(value: object) -> tuple[int, int]:
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise ValueError(f"{value!r} is no pair (minimum, maximum)")
    low, high = parse_memory(value[0]), parse_memory(value[1])
    if low > high:
        raise ValueError(f"{value!r}: the minimum is above the maximum")
    return low, high


SPEC_ARGUMENTS: dict[str, Callable[[object], Any]] = {
    "image": _text,
    "memory": parse_memory,
    "dynamic_memory": _range,
    "cpus": _positive,
    "generation": _generation,
    "secure_boot": _secure_boot,
    "tpm": _boolean,
    "nested": _boolean,
    "network": _network,
    "checkpoints": _one_of(*get_args(CheckpointType)),
}
WISH_ARGUMENTS: dict[str, Callable[[object], Any]] = {
    "state": _state,
    "reset": _one_of(*get_args(Reset)),
    "timeout": _seconds,
    "backend": _one_of(*BACKENDS),
    "evidence": _paths,
}
MINIMUMS: dict[str, Callable[[object], Any]] = {
    "memory": parse_size,
    "cpus": _positive,
    "disk": parse_size,
    "os": _one_of("windows", "linux"),
    "host": _one_of("server", "client"),
    "tags": _tags,
}


def marks_of(item: Marked) -> list[Mark]:
    """The markers of a test that this plugin reads, outermost first; those of its parameters come last."""
    of_parameters = [id(mark) for mark in getattr(getattr(item, "callspec", None), "marks", ())]
    nearest_first = sorted(item.iter_markers(), key=lambda mark: id(mark) not in of_parameters)
    return [Mark(mark.name, mark.args, mark.kwargs) for mark in nearest_first if mark.name in MARKERS][::-1]


def wish_of(marks: Iterable[Mark], settings: Settings) -> Wish:
    """What the markers of one test add up to; ``marks`` come outermost first, so that nearer ones win.

    Raises MarkerError naming the marker, the argument, what is accepted and what may have been meant.
    """
    arguments: dict[str, Any] = {}
    needs = Requirements()
    for mark in marks:
        if mark.name == "hyperv":
            arguments = _nearer(arguments, _checked(mark, SPEC_ARGUMENTS | WISH_ARGUMENTS))
        elif mark.name == "nested_virtualization":
            _checked(mark, {})
            arguments["nested"] = True
        elif mark.name == "hyperv_requires":
            needs = needs.merged(_requirements(mark))
    spec = MachineSpec(image=settings.image, memory=settings.memory, cpus=settings.cpus)
    spec = replace(spec, **{name: value for name, value in arguments.items() if name in SPEC_ARGUMENTS})
    own = {name: value for name, value in arguments.items() if name in WISH_ARGUMENTS}
    if "state" in own:
        spec = replace(spec, image=own["state"].image)
    _consistent(spec, arguments)
    named = "image" in arguments or "state" in own
    return Wish(spec, needs.merged(needs_of(spec)), image=spec.image if named else "", **own)


def _nearer(outer: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of two markers, the nearer one's first; an image and a state take each other's place."""
    if "state" in own and "image" in own:
        raise MarkerError(
            f"hyperv: image={own['image']!r} and state={own['state'].name} exclude each other",
            hint=f"leave out image=: the state is made on {own['state'].image}.",
        )
    replaced = {"state": "image", "image": "state"}
    gone = {replaced[name] for name in own if name in replaced}
    return {name: value for name, value in outer.items() if name not in gone} | dict(own)


def needs_of(spec: MachineSpec) -> Requirements:
    """What a host must have to run machines of ``spec``."""
    wanted = {
        "uefi": True,
        "secure-boot": spec.secure_boot != "off",
        "tpm": spec.tpm,
        "nested": spec.nested,
        "dynamic-memory": spec.dynamic_memory is not None,
        "network-nat": spec.network == "nat",
        "network-private": spec.network == "private",
        "network-switch": spec.network.startswith("switch:"),
    }
    return Requirements(frozenset(name for name, yes in wanted.items() if yes), memory=spec.memory)


def _consistent(spec: MachineSpec, arguments: Mapping[str, Any]) -> None:
    if spec.dynamic_memory is not None:
        low, high = spec.dynamic_memory
        if spec.nested:
            raise MarkerError("hyperv: nested=True needs static memory", hint="leave out dynamic_memory=.")
        if not low <= spec.memory <= high and "memory" in arguments:
            raise MarkerError(f"hyperv: memory= must lie within dynamic_memory=, {spec.memory} does not")


def _requirements(mark: Mark) -> Requirements:
    for name in mark.args:
        if not isinstance(name, str) or name not in NAMES:
            raise MarkerError(f"hyperv_requires: {name!r} is no capability{_meant(name, NAMES)}", hint=_allowed(NAMES))
    minimums = _checked(Mark(mark.name, (), mark.kwargs), MINIMUMS)
    return Requirements(frozenset(mark.args), **minimums)


def _checked(mark: Mark, known: Mapping[str, Callable[[object], Any]]) -> dict[str, Any]:
    if mark.args:
        raise MarkerError(f"{mark.name}: arguments go by name, {mark.args[0]!r} has none", hint=_allowed(known))
    values = {}
    for name, value in mark.kwargs.items():
        if name not in known:
            raise MarkerError(f"{mark.name}: unknown argument {name!r}{_meant(name, known)}", hint=_allowed(known))
        try:
            values[name] = known[name](value)
        except ValueError as error:
            raise MarkerError(
                f"{mark.name}: {name}={error}", hint="see `pytest --markers` and the reference."
            ) from None
    return values


def _meant(name: object, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(str(name), list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _allowed(known: Iterable[str]) -> str:
    names = ", ".join(known)
    return f"allowed: {names}." if names else "this marker takes no arguments."
