# Not yet run on a real host.
# Read a machine's serial port: the named pipe PipeName (without \\.\pipe\). Emits the word connected, then byte[] pieces as they come, and ends when the pipe does.
# The wait for bytes is cut into short ones, because a stop is only seen between them.
param([string] $PipeName, [int] $TimeoutMilliseconds)
$ErrorActionPreference = 'Stop'
$pipe = New-Object IO.Pipes.NamedPipeClientStream '.', $PipeName, ([IO.Pipes.PipeDirection]::In), ([IO.Pipes.PipeOptions]::Asynchronous)
try {
    $pipe.Connect($TimeoutMilliseconds)
    'connected'
    $buffer = New-Object byte[] 4096
    while ($true) {
        $read = $pipe.ReadAsync($buffer, 0, $buffer.Length)
        while (-not $read.Wait(100)) { }
        if ($read.Result -eq 0) { break }
        $piece = New-Object byte[] $read.Result; [Array]::Copy($buffer, $piece, $read.Result)
        , $piece
    }
} finally { $pipe.Dispose() }
