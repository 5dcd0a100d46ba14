"""The server of the guest, run here as a local process, and the host's end of it."""
