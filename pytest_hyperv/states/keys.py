"""The digest that names a state: equal for equal content, another one as soon as anything it depends on changes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from pytest_hyperv.backends.base import Backend
from pytest_hyperv.spec import Image, MachineSpec
from pytest_hyperv.states.declared import State
from pytest_hyperv.states.inputs import input_digests
from pytest_hyperv.states.source import source_parts

FORMAT = 1
"""Raised whenever states that recipes made before no longer fit."""


class Keys:
    """Keys of one backend's states. What a recipe depends on is read once in a process, when it is first needed."""

    def __init__(self, backend: Backend, root: Path) -> None:
        """``root``: relative inputs are below it."""
        self._backend, self._root = backend, root
        self._own: dict[State, str] = {}

    def key(self, image: Image, spec: MachineSpec, state: State | None) -> str:
        """The key of ``state`` on a machine of ``spec``; without one, of the booted image. Raises StateError."""
        if state is None:
            parts = {"image": image.digest, "spec": asdict(spec), "backend": self._backend.name}
            return _digest(parts | {"host": dict(self._backend.fingerprint(spec))})
        parent = self.key(image, spec, parent_of(state))
        if state not in self._own:
            self._own[state] = self._recipe(state)
        return _digest({"parent": parent, "recipe": self._own[state]})

    def check_unchanged(self, state: State) -> bool:
        """Whether a recipe and its inputs are still what they were when its key was made."""
        return self._own.get(state) == self._recipe(state)

    def _recipe(self, state: State) -> str:
        inputs = input_digests(state.name, state.inputs, self._root)
        return _digest({"source": source_parts(state.recipe), "inputs": inputs, "format": FORMAT})


def parent_of(state: State) -> State | None:
    """The state that ``state`` starts from, None when that is a booted image."""
    return state.base if isinstance(state.base, State) else None


def _digest(parts: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]
