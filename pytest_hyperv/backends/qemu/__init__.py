"""The embedded default: machines that QEMU runs on any Linux host."""
