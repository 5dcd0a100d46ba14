"""A simulated Hyper-V host: documented cmdlets, bound as PowerShell binds them."""
