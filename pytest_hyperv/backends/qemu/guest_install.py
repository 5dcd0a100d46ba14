"""Bringing the server into a running guest, through a session that is already there: the agent's."""

from __future__ import annotations

from importlib.resources import files

from pytest_hyperv.errors import GuestError
from pytest_hyperv.guest import GuestSession

FOLDER = "/run/pytest-hyperv"
SERVER = f"{FOLDER}/guest_server.pl"
UNIT = "pytest-hyperv-guest"
LOOK = 30.0
START_WITHIN = 120.0
"""Seconds the guest may take to tell whether it has perl, and to start the server."""

PREPARE = """
command -v perl > /dev/null || exit 3
mkdir -p "$1" && chmod 0700 "$1"
"""

START = """
export HOME=/root LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
folder=$1 server=$2 port=/dev/virtio-ports/$3 unit=$4.service
perl=$(command -v perl) log=$folder/server.log
: > "$log"
if [ -d /run/systemd/system ] && command -v systemd-run > /dev/null; then
  systemctl stop "$unit" 2> /dev/null
  systemctl reset-failed "$unit" 2> /dev/null
  systemd-run --quiet --collect --unit="$unit" --service-type=forking --description="pytest-hyperv guest server" \
    -p Restart=always -p RestartSec=100ms -p OOMPolicy=continue -p TasksMax=infinity -p LimitNOFILE=65536 \
    -p StandardInput=null -p StandardOutput=null -p StandardError="append:$log" \
    -E HOME="$HOME" -E LANG="$LANG" -E PATH="$PATH" "$perl" -w "$server" --daemon "$port" && exit 0
  systemctl stop "$unit" 2> /dev/null
else
  [ -f "$folder/server.pid" ] && kill "$(cat "$folder/server.pid")" 2> /dev/null
  cd / && "$perl" -w "$server" --daemon "$port" < /dev/null > "$folder/server.pid" 2> "$log" && exit 0
fi
cat "$log" >&2
exit 1
"""
"""A service of its own, where systemd rules: what the agent starts belongs to the agent and ends with it. There, the
server is started anew should it ever die, its commands get SIGTERM before the guest shuts down, and so does it."""


class NoPerl(GuestError):
    """The guest has no perl for the server to run on."""


def server_program() -> bytes:
    """The server as it is written into guests."""
    return (files(__package__) / "guest_server.pl").read_bytes()


def install_server(agent: GuestSession, port: str) -> None:
    """Push the server into the guest and start it on the virtio-serial port of that name, in place of one that runs.

    Raises NoPerl, or GuestError when the server does not start; the agent stays usable.
    """
    prepared = agent.run(["/bin/sh", "-c", PREPARE, "sh", FOLDER], timeout=LOOK)
    if prepared.returncode == 3:
        raise NoPerl(
            "the guest has no perl, so its server cannot run there",
            hint="install perl-base into the image; without it the slower guest agent is used",
        )
    prepared.check()
    agent.write_file(SERVER, [server_program()], mode=0o700, timeout=START_WITHIN)
    started = agent.run(["/bin/sh", "-c", START, "sh", FOLDER, SERVER, port, UNIT], timeout=START_WITHIN)
    if started.returncode != 0:
        raise GuestError(
            f"the guest's server did not start on port {port}: {started.stderr.strip()}",
            hint="the machine needs a virtserialport of that name, and nothing else in the guest may hold it open",
        )
