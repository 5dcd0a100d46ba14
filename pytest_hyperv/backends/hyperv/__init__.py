"""Machines of a Hyper-V host, driven through one PowerShell session."""
