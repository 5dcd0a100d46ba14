"""What all the tests share: pytester, which runs pytest on small suites."""

from __future__ import annotations

pytest_plugins = ["pytester"]
