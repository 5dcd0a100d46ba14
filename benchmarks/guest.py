"""What the way into a guest costs, beside the guest agent's: ``python benchmarks/guest.py [--rounds N]``.

One run, one machine, all roads in turn. The guest's own fork and exec of /bin/true is timed inside the guest, once by a
bare perl (fork, exec, wait) and once by its shell, which uses vfork; files are 16 MB of random bytes, there and back.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import time
from collections.abc import Callable

from benchmarks.by_hand import RawClone
from pytest_hyperv.backends.qemu.backend import QemuBackend
from pytest_hyperv.backends.qemu.guest_agent import GuestAgent
from pytest_hyperv.backends.qemu.guest_server import GuestServer
from pytest_hyperv.cache import default_cache, prepare_cache
from pytest_hyperv.guest import GuestProcess, GuestSession
from pytest_hyperv.images import ImageStore
from pytest_hyperv.progress import Lines
from pytest_hyperv.spec import MachineSpec
from pytest_hyperv.states.store import StateStore

DEADLINE = 120.0
BLOCK = 10
"""Commands timed in a row before the next road has its turn."""

MEGABYTES = 16

CLOCK = "{ my $t = qq(\\0) x 16; syscall 228, 1, $t; my ($s, $n) = unpack 'q2', $t; $s * 1e3 + $n / 1e6 }"
OWN_FORK = f"""$| = 1; sub now {CLOCK}
while (<STDIN>) {{
  for (1 .. {BLOCK}) {{ my $t = now(); if (!fork) {{ exec '/bin/true' }} wait; print now() - $t, qq(\\n) }}
}}"""
OWN_SHELL = f"""while read -r go; do
  began=$(date +%s%N); i=0; while [ $i -lt {BLOCK} ]; do /bin/true; i=$((i + 1)); done; ended=$(date +%s%N)
  echo $(((ended - began) / {BLOCK}))e-6
done"""


def timed(work: Callable[[], object]) -> float:
    """How many milliseconds one call takes."""
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def told(program: GuestProcess, lines: int) -> list[float]:
    """Let a program in the guest measure once, and read what it measured, in milliseconds."""
    program.write(b"\n")
    text = b""
    while text.count(b"\n") < lines:
        piece = program.read(DEADLINE)
        if piece is None:
            raise SystemExit("the measuring program in the guest ended")
        text += piece[1]
    return [float(line) for line in text.split()]


def commands(server: GuestServer, agent: GuestAgent, rounds: int) -> dict[str, float]:
    """Medians in milliseconds of every road, blocks of all roads in turn."""
    own = server.spawn(["perl", "-e", OWN_FORK])
    shell = server.spawn(["sh", "-c", OWN_SHELL])
    roads: dict[str, Callable[[], list[float]]] = {
        "fork and exec in the guest, perl": lambda: told(own, BLOCK),
        "fork and exec in the guest, its shell": lambda: told(shell, 1),
        "run(['/bin/true'])": lambda: [timed(lambda: server.run(["/bin/true"])) for _ in range(BLOCK)],
        "guest-exec of /bin/true": lambda: [timed(lambda: agent.run(["/bin/true"])) for _ in range(BLOCK)],
        "ping": lambda: [timed(lambda: server.ping(DEADLINE)) for _ in range(BLOCK)],
        "guest-ping": lambda: [timed(lambda: agent.ping(DEADLINE)) for _ in range(BLOCK)],
    }
    times: dict[str, list[float]] = {name: [] for name in roads}
    for turn in range(rounds + 1):
        for name, measure in roads.items():
            block = measure()
            times[name] += block if turn else []
    own.kill()
    shell.kill()
    return {name: row(name, values) for name, values in times.items()}


def row(name: str, values: list[float]) -> float:
    """Print one line of the table; returns the median."""
    middle = statistics.median(values)
    print(f"{name:44} {min(values):9.2f} {middle:9.2f} {max(values):9.2f}", flush=True)
    return middle


def files(server: GuestServer, agent: GuestAgent, rounds: int) -> dict[str, float]:
    """Medians in MB/s, in and out, of both roads in turn."""
    rates: dict[str, list[float]] = {}
    data = os.urandom(MEGABYTES * 1_000_000)
    sessions: dict[str, GuestSession] = {"server": server, "agent": agent}
    for _ in range(rounds):
        for name, session in sessions.items():
            path = f"/var/tmp/benchmark-{name}"
            into = timed(lambda s=session, p=path: s.write_file(p, [data], mode=0o600, timeout=DEADLINE))  # type: ignore[misc]
            back: list[bytes] = []
            out = timed(lambda s=session, p=path, b=back: b.extend(s.read_file(p, timeout=DEADLINE)))  # type: ignore[misc]
            if b"".join(back) != data:
                raise SystemExit(f"the {name} brought other bytes back than it took")
            rates.setdefault(f"file in, {name}", []).append(MEGABYTES * 1000 / into)
            rates.setdefault(f"file out, {name}", []).append(MEGABYTES * 1000 / out)
    return {name: row(name, values) for name, values in rates.items()}


def target(name: str, value: float, limit: float, *, at_most: bool) -> None:
    """Print one figure beside its target."""
    met = value <= limit if at_most else value >= limit
    wanted = f"at {'most' if at_most else 'least'} {limit:g}"
    print(f"{name:44} {value:9.2f}   {wanted}: {'met' if met else 'MISSED'}")


class Clone(RawClone):
    """A clone whose ports are ours to connect: a backend's machine keeps the agent's for itself."""

    def sessions(self) -> tuple[GuestServer, GuestAgent]:
        """Both roads into the running guest."""
        return GuestServer.connect(self._port("server"), DEADLINE), GuestAgent(self._port("agent"))

    def _port(self, name: str) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(str(self._folder / name))
        return sock


def main() -> None:
    """Make a machine, measure, print the tables and the targets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=8, help=f"turns of {BLOCK} commands; half as many of files")
    parser.add_argument("--image", default="debian-12")
    options = parser.parse_args()
    cache = prepare_cache(default_cache())
    backend = QemuBackend(cache)
    states = StateStore(cache / "states", backend)
    image = ImageStore(cache / "images").get(options.image)
    state = states.ensure(image, MachineSpec(image=options.image), Lines(print))
    with Clone(cache, state) as clone:
        clone.run()
        server, agent = clone.sessions()
        agent.ping(DEADLINE)
        print(f"\n{backend.summary}, {options.image}, {options.rounds} rounds")
        print(f"{'milliseconds':44} {'min':>9} {'p50':>9} {'max':>9}")
        took = commands(server, agent, options.rounds)
        print(f"\n{'MB/s':44} {'min':>9} {'p50':>9} {'max':>9}")
        rates = files(server, agent, max(options.rounds // 2, 1))
        agent.close()
        server.close()
    print()
    run = took["run(['/bin/true'])"]
    target("run / the guest's own fork and exec", run / took["fork and exec in the guest, perl"], 1.3, at_most=True)
    target("run / the shell's vfork and exec", run / took["fork and exec in the guest, its shell"], 1.3, at_most=True)
    target("ping / guest-exec of /bin/true", took["ping"] / took["guest-exec of /bin/true"], 0.5, at_most=True)
    target("file in, server / agent", rates["file in, server"] / rates["file in, agent"], 4, at_most=False)
    target("file out, server / agent", rates["file out, server"] / rates["file out, agent"], 8, at_most=False)


if __name__ == "__main__":
    main()
