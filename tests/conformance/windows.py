"""The words of a Windows guest, in its own programs where one can do it, in PowerShell elsewhere."""

from __future__ import annotations

import ipaddress

from pytest_hyperv import VirtualMachine

CMD = ("cmd.exe", "/d", "/s", "/c")
"""What follows is one line of its language: not taken apart, and not quoted but as that language does."""
CLOCK = "[DateTimeOffset]::UtcNow.ToUnixTimeMilliseconds()"
MEMORY = "(Get-CimInstance Win32_ComputerSystem).TotalPhysicalMemory"
PROCESSORS = "(Get-CimInstance Win32_ComputerSystem).NumberOfLogicalProcessors"
FIRMWARE = "(Get-ComputerInfo -Property BiosFirmwareType).BiosFirmwareType.ToString()"
SECURE_BOOT = "Confirm-SecureBootUEFI"
TPM = "(Get-CimInstance -Namespace root/cimv2/Security/MicrosoftTpm -ClassName Win32_Tpm).SpecVersion"
VIRTUALIZATION = "(Get-CimInstance Win32_Processor | Select-Object -First 1).VirtualizationFirmwareEnabled"
ADAPTERS = "Get-NetAdapter | ForEach-Object { $_.Name }"
NETWORKS = """
Get-NetIPAddress -AddressFamily IPv4 | Where-Object { $_.IPAddress -ne '127.0.0.1' } |
    ForEach-Object { "$($_.IPAddress)/$($_.PrefixLength)" }
Get-NetRoute -AddressFamily IPv4 | Where-Object { $_.DestinationPrefix -eq '0.0.0.0/0' } |
    ForEach-Object { $_.DestinationPrefix }
"""
CRASH = r"""
$source = '
[DllImport("ntdll.dll")]
public static extern int RtlAdjustPrivilege(int privilege, bool on, bool thread, out bool before);
[DllImport("ntdll.dll")]
public static extern int NtRaiseHardError(uint status, uint n, uint mask, IntPtr values, uint option, out uint answer);
'
$nt = Add-Type -MemberDefinition $source -Name Nt -Namespace Conformance -PassThru
$before = $false; $answer = 0
[void] $nt::RtlAdjustPrivilege(19, $true, $false, [ref] $before)
[void] $nt::NtRaiseHardError(3221226528, 0, 0, [IntPtr]::Zero, 6, [ref] $answer)
Start-Sleep 60
"""
"""A bug check on request: a hard error (STATUS_ASSERTION_FAILURE, 0xC0000420) whose answer is to shut the system down,
which needs the privilege to do that (19)."""


class Windows:
    """See ``guests.Guest``."""

    folder = r"C:\conformance"
    stdin_sample = b"".join(b"line %d of many\r\n" % number for number in range(20_000))
    fine: tuple[str, ...] = (*CMD, "exit 0")
    copy_stdin: tuple[str, ...] = ("findstr.exe", "^")
    where: tuple[str, ...] = (*CMD, "cd")
    root = r"C:\Windows"
    quoted = ('echo "two  words"& echo done', '"two  words"\r\ndone\r\n')

    def path(self, *names: str) -> str:
        """A path below ``folder``."""
        return "\\".join((self.folder, *names))

    def fail(self, out: str, err: str, code: int) -> list[str]:
        """Print a word on each stream and return ``code``."""
        return [*CMD, f"echo {out}& echo {err}>&2& exit {code}"]

    def variable(self, name: str) -> list[str]:
        """Print an environment variable."""
        return [*CMD, f"echo %{name}%"]

    def exists(self, path: str) -> list[str]:
        """``dir`` returns 1 when nothing is there."""
        return [*CMD, f'dir /a /b "{path}"']

    def digest(self, path: str) -> list[str]:
        """Print a file's SHA-256 between two lines of words."""
        return ["certutil.exe", "-hashfile", path, "SHA256"]

    def sleep(self, seconds: int) -> list[str]:
        """One echo request to the guest itself each second; ``timeout.exe`` would need a console."""
        return ["ping.exe", "-n", str(seconds + 1), "127.0.0.1"]

    def say_and_sleep(self, word: str, seconds: int) -> list[str]:
        """Print a word, then do nothing for so long."""
        return [*CMD, f"echo {word}& ping.exe -n {seconds + 1} 127.0.0.1 >nul"]

    def sleep_apart(self, seconds: int) -> str:
        """Start a sleeper that holds none of the command's streams."""
        return f'start "" /b ping.exe -n {seconds + 1} 127.0.0.1 >nul 2>&1 <nul'

    def make_late(self, path: str) -> list[str]:
        """Wait about a second, then make a file."""
        return [*CMD, f'ping.exe -n 2 127.0.0.1 >nul& echo done>"{path}"']

    def sleeps(self, vm: VirtualMachine) -> bool:
        """Whether a sleeper runs."""
        return "ping.exe" in vm.run(["tasklist.exe", "/nh", "/fi", "imagename eq ping.exe"]).stdout.lower()

    def to_console(self, word: str) -> str:
        """Write a word to the first serial port."""
        return f"echo {word}>COM1"

    def to_log(self, word: str) -> list[str]:
        """An entry of the Application log."""
        return ["eventcreate.exe", "/t", "warning", "/id", "1", "/l", "application", "/so", "conformance", "/d", word]

    def serve(self, vm: VirtualMachine) -> int:
        """The port of file sharing."""
        vm.sh("net start LanmanServer")
        return 445

    def clock(self, vm: VirtualMachine) -> float:
        """The guest's clock."""
        return int(vm.ps(CLOCK).check().one) / 1000

    def memory(self, vm: VirtualMachine) -> int:
        """Memory that Windows manages."""
        return int(vm.ps(MEMORY).check().one)

    def processors(self, vm: VirtualMachine) -> int:
        """How many logical processors it has."""
        return int(vm.ps(PROCESSORS).check().one)

    def booted_by_uefi(self, vm: VirtualMachine) -> bool:
        """What Windows says of its firmware."""
        return str(vm.ps(FIRMWARE).check().one).lower() == "uefi"

    def secure_boot(self, vm: VirtualMachine) -> bool:
        """What the firmware's variable says."""
        return bool(vm.ps(SECURE_BOOT).check().one)

    def has_tpm_2(self, vm: VirtualMachine) -> bool:
        """The version comes first in a list of three numbers; without a TPM there is no object."""
        said = vm.ps(TPM).check().all
        return bool(said) and str(said[0]).startswith("2.0")

    def sees_virtualization(self, vm: VirtualMachine) -> bool:
        """What the processor's CIM object says."""
        return bool(vm.ps(VIRTUALIZATION).check().one)

    def adapters(self, vm: VirtualMachine) -> list[str]:
        """``Get-NetAdapter`` does not list the loopback."""
        return [str(name) for name in vm.ps(ADAPTERS).check().all]

    def networks(self, vm: VirtualMachine) -> list[str]:
        """The network of each address of the adapters, and the ways that lead on: a DHCP server would give one."""
        said = vm.ps(NETWORKS).check().all
        return sorted({str(ipaddress.ip_interface(str(each)).network) for each in said})

    def open_to_ping(self, vm: VirtualMachine) -> None:
        """The firewall answers no echo request of a network that nobody has vouched for."""
        vm.run(["netsh.exe", "advfirewall", "set", "allprofiles", "state", "off"]).check()

    def ping(self, address: str) -> list[str]:
        """One packet, answered within two seconds."""
        return ["ping.exe", "-n", "1", "-w", "2000", address]

    def crash(self, vm: VirtualMachine) -> None:
        """A bug check."""
        vm.ps(CRASH).check()


WINDOWS = Windows()
