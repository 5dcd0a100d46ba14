"""Disposable virtual machines for tests: Hyper-V, or QEMU on any Linux machine."""

from __future__ import annotations

__version__ = "0.1.0"
