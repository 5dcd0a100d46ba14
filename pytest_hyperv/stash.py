"""What the plugin keeps on pytest's own objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_hyperv.settings import Settings

if TYPE_CHECKING:
    from pytest_hyperv.markers import Wish

SETTINGS = pytest.StashKey[Settings]()
"""On the config: what this run was told."""
WISH: pytest.StashKey[Wish] = pytest.StashKey()
"""On an item: what the test asked for."""
