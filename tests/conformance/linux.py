"""The words of a Linux guest."""

from __future__ import annotations

from pytest_hyperv import VirtualMachine

SECURE_BOOT = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
"""The UEFI variable; its first four bytes are attributes, the fifth is the value (UEFI 2.10, section 3.3)."""

PORT = 4242
LISTENER = f"""use Socket; socket(S, PF_INET, SOCK_STREAM, 0); setsockopt(S, SOL_SOCKET, SO_REUSEADDR, 1);
bind(S, pack_sockaddr_in({PORT}, INADDR_ANY)) or die; listen(S, 9); while (accept(C, S)) {{ close C }}"""
PING = """use Socket; socket(S, PF_INET, SOCK_RAW, 1) or die; my $to = pack_sockaddr_in(0, inet_aton($ARGV[0]));
send(S, pack("C2n3", 8, 0, 63486, 1, 0), 0, $to) or exit 1; alarm 2;
while (my $from = recv(S, my $packet, 99, 0)) { exit 0 if $from eq $to and unpack("x20C", $packet) == 0 } exit 1"""
"""An echo request without content (RFC 792): 63486 is the sum of its other words, 0xF7FE the complement of 0x0801."""


class Linux:
    """See ``guests.Guest``."""

    folder = "/var/tmp/conformance"
    stdin_sample = bytes(range(256)) * 1200
    fine: tuple[str, ...] = ("true",)
    copy_stdin: tuple[str, ...] = ("cat",)
    where: tuple[str, ...] = ("pwd",)
    root = "/usr"
    quoted = ("""printf '%s\\n' "two  words" 'and "quotes"'""", 'two  words\nand "quotes"\n')

    def path(self, *names: str) -> str:
        """A path below ``folder``."""
        return "/".join((self.folder, *names))

    def fail(self, out: str, err: str, code: int) -> list[str]:
        """Print a word on each stream and return ``code``."""
        return ["sh", "-c", 'echo "$1"; echo "$2" >&2; exit "$3"', "fail", out, err, str(code)]

    def variable(self, name: str) -> list[str]:
        """Print an environment variable."""
        return ["printenv", name]

    def exists(self, path: str) -> list[str]:
        """Return 0 when there is something at ``path``."""
        return ["test", "-e", path]

    def digest(self, path: str) -> list[str]:
        """Print a file's SHA-256."""
        return ["sha256sum", path]

    def sleep(self, seconds: int) -> list[str]:
        """Do nothing for so long."""
        return ["sleep", str(seconds)]

    def say_and_sleep(self, word: str, seconds: int) -> list[str]:
        """Print a word, then do nothing for so long."""
        return ["sh", "-c", 'echo "$1"; exec sleep "$2"', "say", word, str(seconds)]

    def sleep_apart(self, seconds: int) -> str:
        """Start a sleeper in a session of its own."""
        return f"setsid sleep {seconds} > /dev/null 2>&1 < /dev/null &"

    def make_late(self, path: str) -> list[str]:
        """Wait about a second, then make a file."""
        return ["sh", "-c", 'sleep 1; echo done > "$1"', "make", path]

    def sleeps(self, vm: VirtualMachine) -> bool:
        """Whether a sleeper runs."""
        return bool(vm.run(["pgrep", "-x", "sleep"]))

    def to_console(self, word: str) -> str:
        """Write a word to the first serial port."""
        return f"echo {word} > /dev/ttyS0"

    def to_log(self, word: str) -> list[str]:
        """An entry of the journal."""
        return ["sh", "-c", 'echo "$1" | systemd-cat -t conformance -p warning', "log", word]

    def serve(self, vm: VirtualMachine) -> int:
        """A listener in perl, which every Debian has."""
        vm.sh(f"setsid perl -e '{LISTENER}' > /dev/null 2>&1 < /dev/null &").check()
        return PORT

    def clock(self, vm: VirtualMachine) -> float:
        """The guest's clock."""
        return float(vm.run(["date", "+%s.%N"]).check().stdout)

    def memory(self, vm: VirtualMachine) -> int:
        """Memory that the kernel manages, which is somewhat less than the machine has."""
        fields = vm.run(["grep", "MemTotal", "/proc/meminfo"]).check().stdout.split()
        return int(fields[1]) * 1024

    def processors(self, vm: VirtualMachine) -> int:
        """How many processors are online."""
        return int(vm.run(["nproc"]).check().stdout)

    def booted_by_uefi(self, vm: VirtualMachine) -> bool:
        """Whether the kernel was given UEFI's tables."""
        return bool(vm.run(["test", "-d", "/sys/firmware/efi"]))

    def secure_boot(self, vm: VirtualMachine) -> bool:
        """What the firmware's variable says."""
        return vm.read_bytes(SECURE_BOOT)[4] == 1

    def has_tpm_2(self, vm: VirtualMachine) -> bool:
        """What the kernel's driver found."""
        version = "/sys/class/tpm/tpm0/tpm_version_major"
        return bool(vm.run(["test", "-e", version])) and vm.read_text(version).strip() == "2"

    def sees_virtualization(self, vm: VirtualMachine) -> bool:
        """Whether the processor's flags name it."""
        return bool(vm.run(["grep", "-qwE", "svm|vmx", "/proc/cpuinfo"]))

    def adapters(self, vm: VirtualMachine) -> list[str]:
        """Everything but the loopback."""
        return [name for name in vm.run(["ls", "/sys/class/net"]).check().stdout.split() if name != "lo"]

    def networks(self, vm: VirtualMachine) -> list[str]:
        """The kernel's routes; a default one is written as such."""
        routes = vm.run(["ip", "-4", "route", "show"]).check().stdout.splitlines()
        return [route.split()[0].replace("default", "0.0.0.0/0") for route in routes]

    def open_to_ping(self, vm: VirtualMachine) -> None:
        """Nothing is closed."""

    def ping(self, address: str) -> list[str]:
        """One packet, answered within two seconds: by ping(8), or by perl where only that is."""
        script = f'command -v ping > /dev/null && exec ping -c 1 -W 2 "$1"; exec perl -e \'{PING}\' "$1"'
        return ["sh", "-c", script, "ping", address]

    def crash(self, vm: VirtualMachine) -> None:
        """The kernel's own test crash."""
        vm.sh("echo 1 > /proc/sys/kernel/sysrq; echo c > /proc/sysrq-trigger; sleep 60").check()


LINUX = Linux()
