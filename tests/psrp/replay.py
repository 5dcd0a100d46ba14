"""Replay recorded PSRP traffic: python -m tests.psrp.replay FILE... prints one line a file with what fell short.

Every message of both directions is decoded; the client is replayed against the recorded server, the test peer against
the recorded client. Exit status: 0 when nothing fell short, 1 when something did.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import ParseError

import psrpcore

from pytest_hyperv.errors import HypervError
from pytest_hyperv.psrp.messages import BadFragment
from pytest_hyperv.psrp.pipeline import RECORDS
from tests.psrp import replay_client, replay_peer
from tests.psrp.recording import Recording, event_of


def shortfalls(path: Path) -> list[str]:
    """What fell short in the replay of one recording."""
    try:
        recording = Recording(path)
    except (OSError, ValueError, BadFragment, HypervError) as error:
        return [f"not readable: {error}"]
    if not recording.steps:
        return ["not a recording: it holds no traffic"]
    undecoded = list(_undecoded(recording))
    return undecoded or [*replay_client.shortfalls(recording), *replay_peer.shortfalls(recording)]


def _undecoded(recording: Recording) -> Iterator[str]:
    for step in recording.steps:
        for message in step.messages:
            try:
                event = event_of(message)
                for kind, _, convert in RECORDS:
                    if isinstance(event, kind):
                        convert(event)
            except (ParseError, ValueError, KeyError, TypeError, AttributeError, psrpcore.PSRPCoreError) as error:
                yield f"message {message.object_id} of kind {message.kind:#x} was not decoded: {error!r}"


def main(names: list[str]) -> int:
    """Replay the files, print one line for each."""
    failed = False
    for name in names:
        found = shortfalls(Path(name))
        failed = failed or bool(found)
        print(f"{name}: {'; '.join(found) or 'nothing fell short'}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
