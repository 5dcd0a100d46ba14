"""The cmdlets of Windows PowerShell itself that the simulated host plays, by what they mean."""
