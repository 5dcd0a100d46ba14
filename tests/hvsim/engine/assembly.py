"""Puts an engine together from its parts."""

from __future__ import annotations

from tests.hvsim.cmdlets.registry import CMDLETS
from tests.hvsim.contract import Contract
from tests.hvsim.engine.commands import Commands
from tests.hvsim.engine.emission import Emissions
from tests.hvsim.engine.general.registry import PER_OBJECT, STREAMING
from tests.hvsim.engine.general.undocumented import UNDOCUMENTED
from tests.hvsim.engine.invocation import ProcessState
from tests.hvsim.engine.pipeline import Engine
from tests.hvsim.engine.scripts import run_script
from tests.hvsim.host.world import SimHost


def assemble(host: SimHost, process: ProcessState) -> Engine:
    """The engine of one process of `host`."""
    contract = Contract.load(host.options.version)
    commands = Commands(contract, host.options.module, {**CMDLETS, **PER_OBJECT}, STREAMING, UNDOCUMENTED)
    return Engine(host, commands, process, Emissions(host.folder), run_script)
