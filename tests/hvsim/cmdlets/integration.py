"""Integration services of machines: their names are in the host's language, their ids are not."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tests.hvsim.binder import NetObject
from tests.hvsim.cmdlets.arguments import each_machine, flag, given, identity, items, matcher, prop, texts
from tests.hvsim.cmdlets.device_objects import integration_service
from tests.hvsim.cmdlets.settings import viewer
from tests.hvsim.engine.invocation import Invocation
from tests.hvsim.host.failures import not_found
from tests.hvsim.host.locale import SERVICES, service_name
from tests.hvsim.host.machines import NEVER, ServiceKey, Settings, VirtualMachine
from tests.hvsim.host.power import refuse_while_busy
from tests.hvsim.host.state import World


def _named(world: World, vm: VirtualMachine, patterns: list[str]) -> list[ServiceKey]:
    """The services that localised names or patterns fit. Raises `HostFailure` for a plain name that fits none."""
    found: list[ServiceKey] = []
    for pattern in patterns:
        fits = matcher(pattern)
        matching = [key for key in SERVICES if fits(service_name(key, world.options.culture))]
        if not matching and not any(character in pattern for character in "*?["):
            raise not_found(
                f"Hyper-V was unable to find an integration service with name '{pattern}' on '{vm.name}'.", pattern
            )
        found += [key for key in matching if key not in found]
    return found


def get_service(inv: Invocation) -> Iterable[object]:
    """Get-VMIntegrationService."""

    def view(world: World, vm: VirtualMachine, _settings: Settings, point: str | None) -> list[object]:
        keys = _named(world, vm, texts(inv, "Name") or ["*"])
        return [integration_service(world, vm, key, point) for key in keys]

    return viewer(view)(inv)


def _switch(enabled: bool) -> Callable[[Invocation], Iterable[object]]:
    def change(world: World, vm: VirtualMachine, keys: list[ServiceKey]) -> list[NetObject]:
        refuse_while_busy(world, vm, "modify an integration service of")
        for key in keys:
            vm.settings.services[key] = enabled
            if key == "TimeSync" and vm.clock_behind:
                vm.clock_synced_at = world.now if enabled else NEVER
        return [integration_service(world, vm, key) for key in keys]

    def run(inv: Invocation) -> Iterable[object]:
        if given(inv, "VMIntegrationService"):
            changed = []
            for component in items(inv, "VMIntegrationService"):
                with inv.host.transaction() as world:
                    vm = world.machine(identity(component, "VMId"))
                    changed += change(world, vm, [_key_of(component)])
        else:
            found = each_machine(inv, lambda world, vm: change(world, vm, _named(world, vm, texts(inv, "Name"))))
            changed = [one for _, objects in found for one in objects]
        return changed if flag(inv, "Passthru") else []

    return run


def _key_of(component: object) -> ServiceKey:
    guid = str(prop(component, "Id")).rpartition("\\")[2].upper()
    return next(key for key, facts in SERVICES.items() if facts.guid == guid)


enable_service = _switch(True)
disable_service = _switch(False)
