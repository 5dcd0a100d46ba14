"""The cmdlets that the guest's PowerShell has, by subject."""
