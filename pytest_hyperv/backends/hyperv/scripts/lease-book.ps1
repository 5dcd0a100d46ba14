# Not yet run on a real host.
# Read the book of leases in Folder on the host, and replace it by New, unless that is empty, if it still is Expected.
# Nobody else is at the book meanwhile: its lock is a file opened for one alone, which Windows closes with whoever dies.
# Emits @{ Text; Written; Now }: the book as it is now, "" when there is none; whether New was written; the host's time, milliseconds since 1970.
param([string] $Folder, [string] $Expected, [string] $New, [int] $TimeoutMilliseconds)
$ErrorActionPreference = 'Stop'
[void] [IO.Directory]::CreateDirectory($Folder)
$book = [IO.Path]::Combine($Folder, 'book.json'); $lock = $null; $watch = [Diagnostics.Stopwatch]::StartNew()
while (-not $lock) {
    try { $lock = [IO.File]::Open("$book.lock", 'OpenOrCreate', 'ReadWrite', 'None') }
    catch [IO.IOException] {
        if ($watch.ElapsedMilliseconds -ge $TimeoutMilliseconds) { throw "others have been at $book for $TimeoutMilliseconds ms" }
        Start-Sleep -Milliseconds 20
    }
}
try {
    $text = ''; $written = $false
    if ([IO.File]::Exists($book)) { $text = [IO.File]::ReadAllText($book) }
    if ($New -and [string]::Equals($text, $Expected, [StringComparison]::Ordinal)) {
        [IO.File]::WriteAllText("$book.new", $New)
        if ([IO.File]::Exists($book)) { [IO.File]::Replace("$book.new", $book, [NullString]::Value) } else { [IO.File]::Move("$book.new", $book) }
        $text = $New; $written = $true
    }
    [pscustomobject] @{ Text = $text; Written = $written; Now = [long] ([DateTime]::UtcNow - (New-Object DateTime 1970, 1, 1)).TotalMilliseconds }
} finally { $lock.Dispose() }
