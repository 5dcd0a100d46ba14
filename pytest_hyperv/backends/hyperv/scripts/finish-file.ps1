# Not yet run on a real host.
# Put PATH.part in the place of Path on the host. Emits @{ Length; Sha256 } of what is on the disk.
param([string] $Path)
$ErrorActionPreference = 'Stop'
$full = $ExecutionContext.SessionState.Path.GetUnresolvedProviderPathFromPSPath($Path)
if ([IO.File]::Exists($full)) { [IO.File]::Delete($full) }
[IO.File]::Move($full + '.part', $full)
$hash = [Security.Cryptography.SHA256]::Create(); $file = [IO.File]::OpenRead($full)
try { [pscustomobject] @{ Length = $file.Length; Sha256 = [BitConverter]::ToString($hash.ComputeHash($file)).Replace('-', '').ToLowerInvariant() } } finally { $file.Dispose(); $hash.Dispose() }
