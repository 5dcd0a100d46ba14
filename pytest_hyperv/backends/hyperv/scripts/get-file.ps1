# Not yet run on a real host.
# Read at most Count bytes of a file from Offset on, where this session runs. Emits byte[] pieces of at most 1 MiB, and last @{ Length; Read }.
# With Digest it emits only @{ Length; Sha256 } of the whole file. copy-out.ps1 does the same through a session into a guest.
param([string] $Path, [long] $Offset, [long] $Count = 32MB, [switch] $Digest)
$ErrorActionPreference = 'Stop'
$file = New-Object IO.FileStream $ExecutionContext.SessionState.Path.GetUnresolvedProviderPathFromPSPath($Path), 'Open', 'Read', 'ReadWrite'
try {
    if ($Digest) {
        $hash = [Security.Cryptography.SHA256]::Create()
        try { [pscustomobject] @{ Length = $file.Length; Sha256 = [BitConverter]::ToString($hash.ComputeHash($file)).Replace('-', '').ToLowerInvariant() } } finally { $hash.Dispose() }
        return
    }
    $file.Position = $Offset; $buffer = New-Object byte[] 1MB; $left = $Count
    while ($left -gt 0 -and ($n = $file.Read($buffer, 0, [int] [Math]::Min($left, $buffer.Length))) -gt 0) {
        $piece = New-Object byte[] $n; [Array]::Copy($buffer, $piece, $n); $left -= $n
        , $piece
    }
    [pscustomobject] @{ Length = $file.Length; Read = $Count - $left }
} finally { $file.Dispose() }
