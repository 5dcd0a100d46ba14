"""Machines as exports: written below a folder of the host, and taken in again as machines of their own."""

from __future__ import annotations

from uuid import UUID

from pytest_hyperv.backends.hyperv import cmdlets
from pytest_hyperv.backends.hyperv.host import HypervHost
from pytest_hyperv.backends.hyperv.places import Place
from pytest_hyperv.backends.hyperv.removal import remove_folder, remove_machine, settled
from pytest_hyperv.spec import MachineSpec


def export(host: HypervHost, ident: UUID, name: str, folder: str) -> str:
    """Write the machine, its disks and its checkpoints below ``folder``: the path of its configuration there.

    A failed try leaves files that the next one would stumble over, so they are removed first. Raises CmdletError.
    """
    below = f"{folder}\\{name}"
    host.do(cmdlets.exported(ident, folder), achieved=lambda: remove_folder(host, below))
    settled(host, ident)
    return f"{below}\\Virtual Machines\\{str(ident).upper()}.vmcx"


def import_copy(host: HypervHost, place: Place, name: str, spec: MachineSpec, configuration: str, notes: str) -> UUID:
    """A machine of its own from an export, all its files in ``place``; it is off, or saved when the export held memory.

    A key protector binds a machine to the host it was made on, so a copy with a TPM gets a new one; it loses what its
    TPM held. Raises CmdletError.
    """
    made = host.do(
        cmdlets.folder(place.folder).then(cmdlets.imported(configuration, place.folder)),
        achieved=lambda: remove_machine(host, place),
    )
    ident = UUID(str(made.all[-1].Id))
    call = cmdlets.renamed(ident, name, notes)
    if spec.tpm:
        call = call.then(cmdlets.new_protector(ident))
    host.do(call)
    return ident
