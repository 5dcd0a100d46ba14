# Not yet run on a real host.
# Write byte[] pieces that come as pipeline input to PATH.part on the host, from Offset on. Emits @{ Length } of the part so far.
# Offset 0 begins anew; the folders above are made. finish-file.ps1 ends it.
param([string] $Path, [long] $Offset)
begin {
    $ErrorActionPreference = 'Stop'
    $part = $ExecutionContext.SessionState.Path.GetUnresolvedProviderPathFromPSPath($Path) + '.part'
    if ($Offset -eq 0) {
        $folder = [IO.Path]::GetDirectoryName($part); if ($folder) { [void] [IO.Directory]::CreateDirectory($folder) }
        [IO.File]::WriteAllBytes($part, (New-Object byte[] 0))
    } elseif ((New-Object IO.FileInfo $part).Length -ne $Offset) { throw "the part of $Path does not end at byte $Offset" }
}
process { if ($null -ne $_) { $file = [IO.File]::Open($part, 'Append'); try { $file.Write($_, 0, $_.Length) } finally { $file.Dispose() } } }
end { [pscustomobject] @{ Length = (New-Object IO.FileInfo $part).Length } }
