"""The conformance suite on the simulated Hyper-V host, by each road that leads to one."""
