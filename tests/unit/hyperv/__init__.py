"""The rooms of the Hyper-V backend, without a machine."""
