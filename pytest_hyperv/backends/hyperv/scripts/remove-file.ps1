# Not yet run on a real host.
# A script for run-script.ps1: remove the file Path in the guest. Emits nothing, also when nothing was there.
param([string] $Path)
$ErrorActionPreference = 'Stop'
[IO.File]::Delete($ExecutionContext.SessionState.Path.GetUnresolvedProviderPathFromPSPath($Path))
