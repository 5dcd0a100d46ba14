# Not yet run on a real host.
# Run cmdlets in the guest as run-script.ps1 runs a script, with the same streams and the same trailer at the end.
# Statements: a list of statements, one after the other until one fails; each is a list of stages with pipes between them;
# each stage is a hashtable that has Name, Arguments (a list, by position) and Parameters (a hashtable, by name).
param([object[]] $Statements)
Invoke-Command -Session $global:GuestSession -ArgumentList (, $Statements) -ScriptBlock {
    [CmdletBinding()] param($Statements)
    $outer = $PSCmdlet; $failure = $null; $state = 'NotStarted'; $global:LASTEXITCODE = $null
    foreach ($stages in $Statements) {
        $inner = [powershell]::Create([System.Management.Automation.RunspaceMode]::CurrentRunspace)
        try {
            # The text depends on the number of stages alone: every name and value is an argument of it.
            $names = @(); $calls = @()
            for ($i = 0; $i -lt @($stages).Count; $i++) { $names += "`$n$i, `$a$i, `$p$i"; $calls += "& `$n$i @a$i @p$i" }
            [void] $inner.AddScript('param(' + ($names -join ', ') + ') & { ' + ($calls -join ' | ') + ' } *>&1')
            foreach ($stage in $stages) { [void] $inner.AddArgument($stage.Name).AddArgument($stage.Arguments).AddArgument($stage.Parameters) }
            [void] $inner.AddCommand('ForEach-Object').AddParameter('Process', { $outer.WriteObject($_, $false) }.GetNewClosure())
            [void] $inner.Invoke()
            $state = [string] $inner.InvocationStateInfo.State
            if ($inner.Streams.Error.Count) { $failure = $inner.Streams.Error[0] }
        } catch {
            $failure = $_
            if ($_.Exception.InnerException -and $_.Exception.InnerException.ErrorRecord) { $failure = $_.Exception.InnerException.ErrorRecord }
        } finally { $inner.Dispose() }
        if ($failure) { break }
    }
    $trailer = [pscustomobject] @{ HypervTrailer = 1; ExitCode = $global:LASTEXITCODE; State = $state; ErrorId = $null; Message = $null; Category = $null; Position = $null; Stack = $null }
    if ($failure) {
        $trailer.State = 'Failed'; $trailer.ErrorId = $failure.FullyQualifiedErrorId; $trailer.Message = $failure.Exception.Message
        $trailer.Category = [string] $failure.CategoryInfo.Category; $trailer.Stack = $failure.ScriptStackTrace
        if ($failure.InvocationInfo) { $trailer.Position = $failure.InvocationInfo.PositionMessage }
    }
    $trailer
}
