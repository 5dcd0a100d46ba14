# Not yet run on a real host.
# A script for run-script.ps1: set the guest's clock to UtcNow. Emits the clock's time afterwards, in UTC.
param([datetime] $UtcNow)
$ErrorActionPreference = 'Stop'
if ($UtcNow.Kind -eq 'Unspecified') { $UtcNow = [datetime]::SpecifyKind($UtcNow, 'Utc') }
[void] (Set-Date -Date $UtcNow.ToLocalTime())
[datetime]::UtcNow
