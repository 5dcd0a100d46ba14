# Not yet run on a real host.
# A script for run-script.ps1: what is at Path in the guest; a link is not followed.
# Emits nothing when nothing is there, else one object: Kind (file, directory, symlink, other), Length in bytes, ReadOnly.
param([string] $Path)
$ErrorActionPreference = 'Stop'
$full = $ExecutionContext.SessionState.Path.GetUnresolvedProviderPathFromPSPath($Path)
try { $found = [IO.File]::GetAttributes($full) } catch [IO.FileNotFoundException], [IO.DirectoryNotFoundException] { return }
$kind = 'file'; $length = 0L
if ($found -band [IO.FileAttributes]::ReparsePoint) { $kind = 'symlink' }
elseif ($found -band [IO.FileAttributes]::Directory) { $kind = 'directory' }
elseif ($found -band [IO.FileAttributes]::Device) { $kind = 'other' }
else { $length = (New-Object IO.FileInfo $full).Length }
[pscustomobject] @{ Kind = $kind; Length = $length; ReadOnly = [bool] ($found -band [IO.FileAttributes]::ReadOnly) }
