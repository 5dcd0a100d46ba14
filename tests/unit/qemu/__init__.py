"""The rooms of the QEMU backend, without a machine."""
