"""libvirt's fastest road to a clean UEFI guest: ``virsh save`` once, a fresh overlay and ``virsh restore`` per test.

virsh runs libvirt's QEMU driver in its own process (``qemu:///embed``) on a folder of its own: no daemon is started, no
other machine of the host is seen, and one virsh takes all commands, so that no time goes into starting it.
"""

from __future__ import annotations

import json
import os
import pwd
import queue
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from xml.sax.saxutils import quoteattr

from pytest_hyperv.backends.qemu.firmware import choose
from pytest_hyperv.spec import MIB, Image

NAME = "suite"
BOOT = 600.0
COMMAND = 300.0
POLL = 0.005
PROMPT = "virsh # "
DOMAIN = """<domain type={kind}>
 <name>suite</name>
 <memory unit='MiB'>{memory}</memory>
 <vcpu>1</vcpu>
 <os>
  <type arch='x86_64' machine='q35'>hvm</type>
  <loader readonly='yes' type='pflash'>{code}</loader>
  <nvram template={variables}>{folder}/vars.fd</nvram>
  <boot dev='hd'/>
 </os>
 <features><acpi/><vmport state='off'/></features>
 <cpu mode={cpu}><feature policy='disable' name='la57'/><feature policy='disable' name='svm'/></cpu>
 <clock offset='utc'><timer name='hpet' present='no'/></clock>
 <on_reboot>restart</on_reboot>
 <devices>
  <emulator>{emulator}</emulator>
  <disk type='file' device='disk'>
   <driver name='qemu' type='qcow2' cache='unsafe' discard='unmap'/>
   <source file='{folder}/disk.qcow2'/><target dev='vda' bus='virtio'/>
  </disk>
  <serial type='file'><source path='{folder}/console.log'/></serial>
  <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
  <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
  <video><model type='vga' vram='8192'/></video>
  <memballoon model='none'/>
 </devices>
</domain>
"""


class LibvirtFailed(Exception):
    """virsh said no, in its own words, or is not there."""


class Virsh:
    """One virsh that takes commands until it is closed.

    It repeats every line it reads behind its prompt, once it is done with the line before.
    """

    def __init__(self, folder: Path, owner: pwd.struct_passwd | None) -> None:
        if shutil.which("virsh") is None:
            raise LibvirtFailed("virsh is not installed (Debian: libvirt-clients and libvirt-daemon-driver-qemu)")
        home = folder / "home"
        self._process = subprocess.Popen(
            ["virsh", "-q", "-c", f"qemu:///embed?root={folder / 'libvirt'}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=home,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(home),
                "XDG_RUNTIME_DIR": str(home),
                "LC_ALL": "C",
                "LIBVIRT_DEBUG": "error",
            },
            user=owner.pw_uid if owner else None,
            group=owner.pw_gid if owner else None,
            extra_groups=[] if owner else None,
            start_new_session=True,
        )
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._count = 0
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def __call__(self, command: str) -> str:
        """What virsh answers. Raises LibvirtFailed."""
        self._count += 1
        end, deadline, said = f"END-{self._count}", time.monotonic() + COMMAND, list[str]()
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{command}\necho {end}\n")
            self._process.stdin.flush()
            while (line := self._lines.get(timeout=max(0.0, deadline - time.monotonic()))) is not None:
                if line.endswith(f"echo {end}"):
                    break
                if PROMPT not in line:
                    said.append(line)
        except (OSError, queue.Empty) as error:
            raise LibvirtFailed(f"virsh did not answer `{command}`: {error}; {said}") from error
        wrong = [each for each in said if "error:" in each]
        if line is None or wrong:
            raise LibvirtFailed(" ".join(wrong or said) or "virsh ended")
        return "\n".join(said).strip()

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)


class LibvirtGuest:
    """A guest of libvirt on a copy of an image; ``save`` once, then ``restore`` as often as one likes."""

    def __init__(self, image: Image, memory: int, accelerator: str, emulator: str) -> None:
        """Boot it and wait for its agent and until it has settled. Raises LibvirtFailed; nothing is left then."""
        # libvirt refuses to run as root without the accounts its daemon's package makes, so root lends it a plain one.
        owner = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        self._folder = Path(tempfile.mkdtemp(prefix="suite-libvirt-"))
        self._owner = owner
        self._virsh: Virsh | None = None
        try:
            (self._folder / "home").mkdir()
            shutil.copyfile(image.disk, self._folder / "image.qcow2")
            self._overlay(self._folder / "image.qcow2")
            self._give_away(self._folder, self._folder / "home", self._folder / "image.qcow2")
            self._virsh = Virsh(self._folder, owner)
            (self._folder / "domain.xml").write_text(self._domain(memory, accelerator, emulator), "utf-8")
            self._boot()
        except BaseException:
            self.close()
            raise

    def _domain(self, memory: int, accelerator: str, emulator: str) -> str:
        firmware = choose("off")
        return DOMAIN.format(
            kind=quoteattr("kvm" if accelerator == "kvm" else "qemu"),
            cpu=quoteattr("host-passthrough" if accelerator == "kvm" else "maximum"),
            memory=memory // MIB,
            code=firmware.code,
            variables=quoteattr(str(firmware.variables)),
            folder=self._folder,
            emulator=emulator,
        )

    def _boot(self) -> None:
        self._do(f"define {self._folder}/domain.xml")
        self._do(f"start {NAME}")
        self._answered(BOOT)
        self.run("systemctl is-system-running --wait; udevadm settle", BOOT)

    def _do(self, command: str) -> str:
        assert self._virsh is not None
        return self._virsh(command)

    def _agent(self, command: str, **arguments: Any) -> Any:
        words = json.dumps({"execute": command, "arguments": arguments} if arguments else {"execute": command})
        quoted = words.replace("'", "\\u0027")  # virsh has its own quotes, JSON another way to write one
        said = self._do(f"qemu-agent-command --timeout 20 {NAME} '{quoted}'")
        return json.loads(said.splitlines()[-1])["return"]

    def _answered(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while True:
            try:
                self._agent("guest-ping")
                return
            except LibvirtFailed:
                if time.monotonic() > deadline:
                    raise
                time.sleep(POLL)

    def run(self, script: str, timeout: float) -> None:
        """Run a shell script in the guest and wait for its end, whatever it returns."""
        pid = self._agent("guest-exec", path="/bin/sh", arg=["-c", script])["pid"]
        deadline = time.monotonic() + timeout
        while not self._agent("guest-exec-status", pid=pid)["exited"]:
            if time.monotonic() > deadline:
                raise LibvirtFailed(f"`{script}` did not end in the guest in {timeout:.0f} s")
            time.sleep(0.1)

    def save(self) -> None:
        """Save it with its memory; the disk as it is then becomes what fresh overlays stand on."""
        self._do(f"save {NAME} {self._folder}/saved")
        (self._folder / "disk.qcow2").rename(self._folder / "frozen.qcow2")

    def restore(self) -> None:
        """A clean machine in place of the one before: ends when its agent has answered."""
        self._destroy()
        self._overlay(self._folder / "frozen.qcow2")
        self._do(f"restore {self._folder}/saved")
        self._answered(BOOT)

    def _overlay(self, below: Path) -> None:
        disk = self._folder / "disk.qcow2"
        disk.unlink(missing_ok=True)
        subprocess.run(
            ["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(below), "-F", "qcow2", str(disk)], check=True
        )
        self._give_away(disk)

    def _give_away(self, *paths: Path) -> None:
        for path in paths:
            if self._owner is not None:
                os.chown(path, self._owner.pw_uid, self._owner.pw_gid)

    def _destroy(self) -> None:
        if self._do(f"domstate {NAME}") != "shut off":
            self._do(f"destroy {NAME}")

    def close(self) -> None:
        """End the machine and virsh, and remove everything."""
        if self._virsh is not None:
            try:
                self._destroy()
            except LibvirtFailed:
                self._kill()
            self._virsh.close()
        shutil.rmtree(self._folder)

    def _kill(self) -> None:
        pid = self._folder / "libvirt" / "run" / "qemu" / f"{NAME}.pid"
        if pid.exists():
            os.kill(int(pid.read_text()), signal.SIGKILL)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
