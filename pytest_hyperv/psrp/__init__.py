"""PowerShell as a protocol: one PSRP client over any byte pipe."""
