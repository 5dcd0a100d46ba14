# Not yet run on a real host.
# A script for run-script.ps1: make the folder Path in the guest, with the folders above it. Emits nothing, also when it was there.
param([string] $Path)
$ErrorActionPreference = 'Stop'
[void] [IO.Directory]::CreateDirectory($ExecutionContext.SessionState.Path.GetUnresolvedProviderPathFromPSPath($Path))
