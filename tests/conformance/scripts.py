"""PowerShell scripts of the suite, for every guest that has PowerShell."""

from __future__ import annotations

ECHO = "param($value) , $value"
STREAMS = (
    "Write-Output out; Write-Error err; Write-Warning warn; Write-Verbose verb -Verbose; Write-Debug dbg -Debug; "
    "Write-Information info -Tags a,b"
)
EXIT = "param($code) 'before'; exit $code; 'after'"
THROW = 'throw "thrown"'
SLEEP = '"started"; Start-Sleep 60'
KEEP = "param($value) $global:kept = $value"
KEPT = "$global:kept"
