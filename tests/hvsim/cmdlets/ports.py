"""Serial ports and video of a machine."""

from __future__ import annotations

from collections.abc import Iterable

from tests.hvsim.binder import NetObject
from tests.hvsim.cmdlets import device_objects
from tests.hvsim.cmdlets.arguments import given, is_on, items, number, prop, text
from tests.hvsim.cmdlets.settings import changer, require_off, viewer
from tests.hvsim.engine.invocation import Invocation
from tests.hvsim.host.failures import invalid_argument
from tests.hvsim.host.machines import ComPort, Settings, VirtualMachine
from tests.hvsim.host.state import World

get_video = viewer(lambda _world, vm, _settings, point: [device_objects.video(vm, point)])


def get_com_port(inv: Invocation) -> Iterable[object]:
    """Get-VMComPort: both ports, or the one of -Number."""

    def view(_world: World, vm: VirtualMachine, settings: Settings, point: str | None) -> list[object]:
        wanted = number(inv, "Number")
        return [device_objects.com_port(vm, port, point) for port in settings.com_ports if wanted in (0, port.number)]

    return viewer(view)(inv)


def _set_com_port(inv: Invocation, _world: World, vm: VirtualMachine) -> NetObject:
    if given(inv, "VMComPort"):
        wanted = int(str(prop(items(inv, "VMComPort")[0], "Name"))[-1])
    else:
        wanted = number(inv, "Number")
    port: ComPort | None = next((one for one in vm.settings.com_ports if one.number == wanted), None)
    if port is None:
        raise invalid_argument(f"'{vm.name}' has no COM port {wanted}: the number is 1 or 2.", vm.name)
    if given(inv, "Path"):
        path = text(inv, "Path")
        if path and not path.casefold().startswith("\\\\.\\pipe\\"):
            raise invalid_argument(f"The path '{path}' is not that of a named pipe.", vm.name)
        port.path = path
    if given(inv, "DebuggerMode"):
        port.debugger = is_on(inv, "DebuggerMode")
    return device_objects.com_port(vm, port)


set_com_port = changer(_set_com_port, by_device="VMComPort")


def _set_video(inv: Invocation, _world: World, vm: VirtualMachine) -> NetObject:
    require_off(vm, "change the video settings of")
    width, height = vm.settings.resolution
    vm.settings.resolution = [number(inv, "HorizontalResolution", width), number(inv, "VerticalResolution", height)]
    return device_objects.video(vm)


set_video = changer(_set_video, by_device="VMVideo")
