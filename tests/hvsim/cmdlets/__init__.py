"""The cmdlets of the Hyper-V module, as functions over the simulated world."""
