"""What a guest holds that is reached by SSH: a server that takes one key and no password, and that key's other half.

The host's own keys are not part of an image: a guest makes its own at its first boot.
"""

from __future__ import annotations

from pathlib import Path

from pytest_hyperv.programs import run_program

PACKAGES = ("openssh-server",)
USER = "root"
"""The one account: setting the clock and ending other programs take it."""

HOST_KEY = "/etc/ssh/ssh_host_ed25519_key"
NO_HOST_KEYS = '--customize-hook=rm -f "$1"/etc/ssh/ssh_host_*'
"""A hook of mmdebstrap: the package makes keys when it is installed."""

SERVER = f"""HostKey {HOST_KEY}
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UseDNS no
MaxStartups 100
ClientAliveInterval 15
ClientAliveCountMax 4
"""

SERVICE = f"""[Service]
ExecStartPre=
ExecStartPre=/bin/sh -c 'test -s {HOST_KEY} || ssh-keygen -q -t ed25519 -N "" -f {HOST_KEY}'
"""

KEY_TIMEOUT = 60.0


def server_files(public_key: str) -> dict[str, str]:
    """The server's files by their paths in the guest, for the one who holds the other half of ``public_key``."""
    return {
        "etc/ssh/sshd_config.d/golden.conf": SERVER,
        "etc/systemd/system/ssh.service.d/golden.conf": SERVICE,
        f"{USER}/.ssh/authorized_keys": public_key,
    }


def make_key(path: Path, *, image: str) -> str:
    """Make a key pair without a passphrase, its private half in the new file ``path`` (0600); returns the public half.

    Raises ImageError.
    """
    comment = f"pytest-hyperv image {image}"
    run_program(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)],
        timeout=KEY_TIMEOUT,
        image=image,
    )
    public = path.with_name(f"{path.name}.pub")
    text = public.read_text()
    public.unlink()
    return text
