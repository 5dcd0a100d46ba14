"""The operating system of a simulated guest, Windows-like, and the PowerShell Direct session into it."""
