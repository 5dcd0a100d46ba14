"""Stories survive the way from a worker to the controller."""

from __future__ import annotations

import json

from pytest_hyperv.story import Exhibit, Story


def test_a_story_comes_back_from_json_as_it_was() -> None:
    exhibits = (Exhibit("screenshot", "test_a/screen.png"), Exhibit("console", "test_a/console.log", "the last 1 MiB"))
    story = Story("hyperv-1", "qemu", "local", "debian-12", "", "crash", "Kernel panic", exhibits=exhibits)
    assert Story.of_data(json.loads(json.dumps(story.to_data()))) == story
