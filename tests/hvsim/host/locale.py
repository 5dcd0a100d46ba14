"""What Hyper-V says in the language of the host: names of integration services, and texts of statuses."""

from __future__ import annotations

from dataclasses import dataclass

from tests.hvsim.host.machines import ServiceKey


@dataclass(frozen=True)
class ServiceFacts:
    """An integration service: the GUID its Id ends with, the .NET class of its object, its names, and its default."""

    guid: str
    component: str
    names: dict[str, str]
    enabled: bool = True


SERVICES: dict[ServiceKey, ServiceFacts] = {
    "GuestServices": ServiceFacts(
        "6C09BB55-D683-4DA0-8931-C9BF705F6480",
        "GuestServiceInterfaceComponent",
        {"en": "Guest Service Interface", "de": "Gastdienstschnittstelle"},
        enabled=False,
    ),
    "Heartbeat": ServiceFacts(
        "84EAAE65-2F2E-45F5-9BB5-0E857DC8EB47", "HeartbeatComponent", {"en": "Heartbeat", "de": "Takt"}
    ),
    "KeyValue": ServiceFacts(
        "2A34B1C2-FD73-4043-8A5B-DD2159BC743F",
        "KvpExchangeComponent",
        {"en": "Key-Value Pair Exchange", "de": "Austausch von Schlüsselwertepaaren"},
    ),
    "Shutdown": ServiceFacts(
        "9F8233AC-BE49-4C79-8EE3-E7E1985B2077", "ShutdownComponent", {"en": "Shutdown", "de": "Herunterfahren"}
    ),
    "TimeSync": ServiceFacts(
        "2497F4DE-E9FA-4204-80E4-4B75C46419C0",
        "TimeSyncComponent",
        {"en": "Time Synchronization", "de": "Zeitsynchronisierung"},
    ),
    "VSS": ServiceFacts(
        "5CED1297-4598-4915-A5FC-AD21BB4D02A4", "VssComponent", {"en": "VSS", "de": "VSS (Volumeschattenkopie)"}
    ),
}
"""The integration services of a guest, and the ids that their objects end with."""

TEXTS = {
    "Operating normally": "Normaler Betrieb",
    "In service": "In Betrieb",
    "Merging disks": "Datenträger werden zusammengeführt",
    "Creating checkpoint": "Prüfpunkt wird erstellt",
    "Applying checkpoint": "Prüfpunkt wird angewendet",
    "Deleting checkpoint": "Prüfpunkt wird gelöscht",
    "Degraded": "Beeinträchtigt",
    "OK": "OK",
    "No contact": "Kein Kontakt",
    "Disabled": "Deaktiviert",
    "Lost communication": "Verbindung unterbrochen",
    "Network Adapter": "Netzwerkkarte",
    "Hard Drive": "Festplattenlaufwerk",
    "SCSI Controller": "SCSI-Controller",
}


def language(culture: str) -> str:
    """The language that the texts here exist in: German for any German culture, else English."""
    return "de" if culture.casefold().startswith("de") else "en"


def text(english: str, culture: str) -> str:
    """A text of Hyper-V in the language of the host."""
    return TEXTS[english] if language(culture) == "de" else english


def service_name(key: ServiceKey, culture: str) -> str:
    """The display name of an integration service."""
    return SERVICES[key].names[language(culture)]


def default_services() -> dict[str, bool]:
    """Which integration services a new machine has switched on: all but the guest service interface."""
    return {key: facts.enabled for key, facts in SERVICES.items()}
