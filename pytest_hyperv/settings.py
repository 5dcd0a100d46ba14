"""Settings: one frozen record, resolved from command line, environment, ini file and defaults, each with its origin."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_hyperv.errors import SettingsError
from pytest_hyperv.options import OPTIONS

if TYPE_CHECKING:
    from pytest_hyperv.inventory import Host
    from pytest_hyperv.leases import Limits


@dataclass(frozen=True)
class Settings:
    """What this run was told; memory and disk are in bytes.

    ``origins`` names, by option, where its value came from, ``numbers`` what was written for one that is a number.

    ``cache`` is absolute, and None for a user without a home folder who named none; ``artifacts`` is absolute. ``host``
    is what :class:`~pytest_hyperv.backends.hyperv.address.HostAddress` reads or a name of the inventory,
    ``states_limit`` None for no limit, ``report`` None for no page, ``budget`` None for what the host has to give.
    ``keep_for`` and ``room_timeout`` are in seconds. ``hosts`` are those of the inventory that this run may use, none
    without one.
    """

    backend: str
    image: str
    memory: int
    cpus: int
    strict: bool
    spares: int
    budget: Limits | None
    room_timeout: float
    group: bool
    cache: Path | None
    host: str
    inventory: Path | None
    psdirect: str
    states_limit: int | None
    keep: str
    keep_for: float
    report: Path | None
    evidence: str
    artifacts: Path
    dump: bool
    origins: Mapping[str, str] = field(default_factory=dict, compare=False)
    numbers: Mapping[str, str] = field(default_factory=dict, compare=False)
    hosts: tuple[Host, ...] = ()

    def told(self) -> list[str]:
        """The settings that do not have their default, as ``name=value (origin)``."""
        return [
            f"{name}={self.numbers.get(name) or getattr(self, name)} ({origin})"
            for name, origin in self.origins.items()
            if origin != "default"
        ]


def resolve(
    command_line: Callable[[str], object], environment: Mapping[str, str], ini: Callable[[str], object]
) -> Settings:
    """Settings from the three places. ``command_line`` and ``ini`` answer an option's key with None or "" when unset.

    Raises SettingsError naming the option, the place and what is accepted.
    """
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    numbers: dict[str, str] = {}
    for option in OPTIONS:
        places = (
            ("command line", command_line(option.key)),
            (f"environment {option.variable}", environment.get(option.variable)),
            ("ini file", ini(option.key)),
            ("default", option.default),
        )
        origin, text = next(
            ((place, str(value)) for place, value in places if value not in (None, "")), ("default", "")
        )
        try:
            values[option.name] = option.parse(text)
        except (ValueError, SettingsError) as error:
            own = error if isinstance(error, SettingsError) else SettingsError(str(error))
            raise SettingsError(
                f"{option.flag_name} ({origin}): {own.message}",
                hint=own.hint or f"{option.help}; the default is {option.default or 'chosen for this user'}.",
            ) from None
        origins[option.name] = origin
        if isinstance(values[option.name], int | float):
            numbers[option.name] = text
    settings = Settings(**values, origins=origins, numbers=numbers)
    return replace(settings, hosts=_hosts(settings))


def _hosts(settings: Settings) -> tuple[Host, ...]:
    """The hosts of the inventory that are meant. Raises SettingsError."""
    told = settings.origins["host"]
    if settings.inventory is None:
        if settings.host != "local" and "://" not in settings.host:
            raise SettingsError(
                f"--hyperv-host ({told}): The address of a host has another form, and no inventory gives it a name",
                hint="It is local, winrm://user@host or ssh://user@host; or name a file: --hyperv-inventory FILE.",
            )
        return ()
    from pytest_hyperv.inventory import chosen, read_inventory

    option, place = "inventory", settings.origins["inventory"]
    try:
        hosts = read_inventory(settings.inventory)
        if told != "default":
            option, place = "host", told
            hosts = chosen(hosts, settings.host, settings.inventory)
            if settings.backend not in ("auto", hosts[0].backend):
                raise SettingsError(
                    f"{hosts[0].name} is a host of {hosts[0].backend}, not of {settings.backend}",
                    hint="leave out --hyperv-backend, or name another host.",
                )
        return hosts
    except SettingsError as error:
        raise SettingsError(f"--hyperv-{option} ({place}): {error.message}", hint=error.hint) from None
