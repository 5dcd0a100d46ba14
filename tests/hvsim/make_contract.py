"""Make the compact contract data of the simulated host: ``python -m tests.hvsim.make_contract [FOLDER]``.

FOLDER holds the contracts extracted from the vendor's reference pages; without it, ``../shared/contracts`` beside the
checkout is read. The bytes written depend on nothing but the contracts.
"""

from __future__ import annotations

import gzip
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CONTRACTS = Path(__file__).parents[3] / "shared" / "contracts"
DATA = Path(__file__).with_name("contract.json.gz")
HYPER_V_VERSIONS = ("2019", "2022", "2025")

CORE = (
    *("Enter-PSSession", "ForEach-Object", "Get-Command", "Get-Job", "Get-Module", "Get-PSSession", "Import-Module"),
    *("Invoke-Command", "New-PSSession", "Out-Null", "Receive-Job", "Remove-Job", "Remove-PSSession", "Set-StrictMode"),
    *("Start-Job", "Stop-Job", "Wait-Job", "Where-Object"),
)
UTILITY = (
    *("Add-Type", "ConvertFrom-Json", "ConvertTo-Json", "Get-Date", "Get-FileHash", "Get-Variable", "Group-Object"),
    *("Measure-Object", "New-Guid", "New-Object", "Out-String", "Select-Object", "Set-Date", "Set-Variable"),
    *("Sort-Object", "Start-Sleep", "Write-Error", "Write-Output", "Write-Progress", "Write-Verbose", "Write-Warning"),
)
PROVIDER = re.compile(r"(?P<set>\S.*?)\s+-\s+(?P<provider>.+ providers?)")


def windows_powershell_module(cmdlet: str) -> str:
    """The module of Windows PowerShell 5.1 that defines `cmdlet`; the reference keeps them in one collection."""
    if "-Cim" in cmdlet:
        return "CimCmdlets"
    if cmdlet in CORE:
        return "Microsoft.PowerShell.Core"
    if cmdlet in UTILITY:
        return "Microsoft.PowerShell.Utility"
    if cmdlet == "ConvertTo-SecureString":
        return "Microsoft.PowerShell.Security"
    if cmdlet == "Get-WinEvent":
        return "Microsoft.PowerShell.Diagnostics"
    return "Microsoft.PowerShell.Management"


def read(path: Path) -> dict[str, Any]:
    """One contract file."""
    with path.open(encoding="utf-8") as file:
        contract: dict[str, Any] = json.load(file)
    return contract


def on_file_system(definition: dict[str, Any]) -> dict[str, Any]:
    """The definition as it is for files.

    The reference lists the sets of item cmdlets once for each provider ("Path - FileSystem provider"); what they
    differ in are parameters that a provider adds, no sets of their own.
    """
    names = {name: PROVIDER.fullmatch(name) for name in definition["sets"]}
    if not any(names.values()):
        return definition
    folded: dict[str, Any] = {}
    for name, parameters in definition["sets"].items():
        match = names[name]
        if match is None:
            folded[name] = folded.get(name, {}) | parameters
        elif match["provider"] in ("All providers", "FileSystem provider"):
            folded[match["set"]] = parameters | folded.get(match["set"], {})
    default = PROVIDER.fullmatch(definition.get("default_set") or "")
    return definition | {"sets": folded} | ({"default_set": default["set"]} if default else {})


def gather(folder: Path) -> dict[str, Any]:
    """All contracts of `folder` in one structure.

    ``commands`` maps module and cmdlet to definitions, each with the versions of Windows Server it holds for; a
    definition that several versions share is there once.
    """
    sources: dict[str, dict[str, str]] = {}
    commands: dict[str, dict[str, list[dict[str, Any]]]] = {}

    def take(file: str, module: str | None, versions: tuple[str, ...]) -> None:
        contract = read(folder / file)
        sources[file] = {key: contract[key] for key in ("source", "licence")}
        for name, written in contract["cmdlets"].items():
            definition = on_file_system(written)
            known = commands.setdefault(module or windows_powershell_module(name), {}).setdefault(name, [])
            for entry in known:
                if entry["definition"] == definition and list(entry["definition"]["sets"]) == list(definition["sets"]):
                    entry["versions"].extend(versions)
                    break
            else:
                known.append({"versions": list(versions), "definition": definition})

    for version in HYPER_V_VERSIONS:
        take(f"hyper-v-ws{version}.json", "Hyper-V", (version,))
    take("hgsclient-ws2025.json", "HgsClient", HYPER_V_VERSIONS)
    take("storage-ws2025.json", "Storage", HYPER_V_VERSIONS)
    take("dism-ws2025.json", "Dism", HYPER_V_VERSIONS)
    take("windows-powershell-5.1.json", None, HYPER_V_VERSIONS)
    return {"sources": sources, "commands": commands}


def pack(gathered: Mapping[str, Any]) -> bytes:
    """The bytes of the data file."""
    text = json.dumps(gathered, ensure_ascii=False, separators=(",", ":"))
    return gzip.compress(text.encode(), compresslevel=9, mtime=0)


def main(arguments: list[str]) -> int:
    """Write the data file and say what is in it."""
    gathered = gather(Path(arguments[0]) if arguments else CONTRACTS)
    DATA.write_bytes(pack(gathered))
    counts = ", ".join(f"{module} {len(commands)}" for module, commands in gathered["commands"].items())
    print(f"{DATA.name}: {DATA.stat().st_size} bytes, cmdlets: {counts}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
