"""Can a backend run machines from here, and what can its host do: the same answer for every backend."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pytest_hyperv.backends.registry import open_backend
from pytest_hyperv.capabilities import Capability, HostFacts
from pytest_hyperv.errors import HypervError


@dataclass(frozen=True)
class Diagnosis:
    """What is the matter with one backend.

    ``reason`` and ``fix`` say why it can run no machine, when ``usable`` is false. ``details`` are words for people;
    ``prerequisites`` and ``capabilities`` are empty and ``facts`` is None when the host could not be asked.
    """

    backend: str
    host: str
    usable: bool
    summary: str = ""
    reason: str = ""
    fix: str = ""
    facts: HostFacts | None = None
    details: Mapping[str, str] = field(default_factory=dict)
    prerequisites: Mapping[str, Capability] = field(default_factory=dict)
    capabilities: Mapping[str, Capability] = field(default_factory=dict)


def diagnose(backend: str, cache: Path, host: str) -> Diagnosis:
    """Try one backend. ``host`` is the address of a Hyper-V host, of no meaning to other backends.

    Never raises a HypervError: that is the diagnosis then.
    """
    here = host if backend == "hyperv" else "local"
    try:
        return _of_hyperv(host) if backend == "hyperv" else _of_offer(backend, cache)
    except HypervError as error:
        return Diagnosis(backend, here, usable=False, reason=error.message, fix=error.hint)


def _of_offer(name: str, cache: Path) -> Diagnosis:
    backend = open_backend(name, cache)
    offer = backend.offer()
    return Diagnosis(
        name, "local", usable=True, summary=backend.summary, facts=offer.facts, capabilities=offer.capabilities
    )


def _of_hyperv(host: str) -> Diagnosis:
    from pytest_hyperv.backends.hyperv import offer
    from pytest_hyperv.backends.hyperv.address import HostAddress
    from pytest_hyperv.backends.hyperv.credentials import host_credential
    from pytest_hyperv.backends.hyperv.probe import probe
    from pytest_hyperv.backends.hyperv.roads import open_host_session

    address = HostAddress.parse(host)
    with open_host_session(address, host_credential(address)) as session:
        facts = probe(session, address.name)
    prerequisites = offer.prerequisites(facts)
    missing = [need for need in prerequisites.values() if not need.available]
    return Diagnosis(
        "hyperv",
        str(address),
        usable=not missing,
        summary=facts.summary,
        reason="; ".join(need.reason for need in missing),
        fix="; ".join(need.fix for need in missing),
        facts=offer.host_facts(facts),
        details={
            "processor": facts.processor,
            "virtual hard disks": facts.disk_path,
            "switches": ", ".join(f"{switch.name} ({switch.kind})" for switch in facts.switches),
            "GPUs to share": ", ".join(facts.gpus),
        },
        prerequisites=prerequisites,
        capabilities=offer.capabilities(facts),
    )
