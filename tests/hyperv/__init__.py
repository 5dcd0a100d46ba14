"""The Hyper-V backend against a simulated host, each in processes of its own, as on a real one."""
