"""All general cmdlets that the simulated host plays, by name in lower case."""

from __future__ import annotations

from collections.abc import Mapping

from tests.hvsim.contract import CommandContract
from tests.hvsim.engine.general.select_object import select_object
from tests.hvsim.engine.invocation import Cmdlet, StreamCmdlet

PER_OBJECT: Mapping[str, Cmdlet] = {}
STREAMING: Mapping[str, StreamCmdlet] = {"select-object": select_object}
UNDOCUMENTED: Mapping[str, CommandContract] = {}
