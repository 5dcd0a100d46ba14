"""``pytest-hyperv images``: the catalogue of golden images."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import cast, get_args

import click

from pytest_hyperv.cli.cache_option import cache_option
from pytest_hyperv.cli.screen import progress_here, table
from pytest_hyperv.errors import ImageError
from pytest_hyperv.images import RECIPES, DiskFacts, ImageStore
from pytest_hyperv.spec import MIB, BootTemplate, DiskFormat, GuestRoad, Image, OsFamily

as_json = click.option("--json", "as_json", is_flag=True, help="Print facts a program can read.")


@click.group()
@cache_option
@click.pass_context
def command(ctx: click.Context, cache: Path) -> None:
    """Golden images: sealed disks that machines are made from."""
    ctx.obj = ImageStore(cache / "images")


@command.command("list")
@as_json
@click.pass_obj
def list_images(store: ImageStore, as_json: bool) -> None:
    """List the images there are, and those that can be built."""
    images = store.all()
    if as_json:
        click.echo(json.dumps([_facts(image) for image in images], indent=1))
        return
    rows: list[tuple[str, ...]] = [("NAME", "SYSTEM", "COMMANDS BY", "SECURE BOOT", "DISK", "MADE", "KERNEL")]
    rows += [_row(image) for image in images]
    rows += [(name, "linux", "", "", "", "not built yet", "") for name in RECIPES if name not in store.names()]
    click.echo(table(rows))


@command.command()
@click.argument("name", default="debian-12")
@click.option("--rebuild", is_flag=True, help="Build anew even if the image is there.")
@as_json
@click.pass_obj
def build(store: ImageStore, name: str, rebuild: bool, as_json: bool) -> None:
    """Build the image NAME by its recipe; nothing is done when it is there already."""
    _told(store.build(name, progress_here(), rebuild=rebuild), as_json)


@command.command("import")
@click.argument("name")
@click.argument("disk", type=click.Path(path_type=Path))
@click.option("--os", "os_family", type=click.Choice(get_args(OsFamily)), required=True, help="What the guest is.")
@click.option(
    "--road",
    type=click.Choice(get_args(GuestRoad)),
    help="How commands reach the guest.  [default: agent for Linux, psdirect for Windows]",
)
@click.option(
    "--credentials",
    default="",
    metavar="REFERENCE",
    help="Where the guest's user and password are: env:NAME or keyring:SERVICE/USER. Never the password itself. "
    "key:USER for an account that the file --ssh-key opens.",
)
@click.option(
    "--ssh-key",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="File with the private key for --road ssh; the image keeps a copy.",
)
@click.option(
    "--secure-boot",
    type=click.Choice(get_args(BootTemplate)),
    help="Template it boots under.  [default: off for Linux, windows for Windows]",
)
@click.option("--powershell/--no-powershell", default=None, help="Whether PowerShell is in the guest.")
@click.option("--kernel", default="", help="Release of the guest's Linux kernel, when modules are built for it.")
@click.option("--replace", is_flag=True, help="Replace an image of that name.")
@as_json
@click.pass_obj
def import_image(
    store: ImageStore,
    name: str,
    disk: Path,
    os_family: OsFamily,
    road: GuestRoad | None,
    credentials: str,
    ssh_key: Path | None,
    secure_boot: BootTemplate | None,
    powershell: bool | None,
    kernel: str,
    replace: bool,
    as_json: bool,
) -> None:
    """Take DISK (qcow2, VHDX or raw) in as the image NAME. The disk itself is only read."""
    windows = os_family == "windows"
    facts = DiskFacts(
        os_family=os_family,
        guest_road=road or ("psdirect" if windows else "agent"),
        credentials=credentials,
        secure_boot=secure_boot or ("windows" if windows else "off"),
        powershell=windows if powershell is None else powershell,
        kernel=kernel,
    )
    _told(store.import_disk(name, disk, facts, progress_here(), ssh_key=ssh_key, replace=replace), as_json)


@command.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@as_json
@click.pass_obj
@click.pass_context
def verify(ctx: click.Context, store: ImageStore, names: tuple[str, ...], as_json: bool) -> None:
    """Read every byte of the images (all of them when none is named) and say whether they are whole."""
    faults: dict[str, str] = {}
    for name in names or store.names():
        try:
            store.verify(name)
        except ImageError as error:
            faults[name] = str(error)
        if not as_json:
            click.echo(f"{name}: {faults.get(name, 'whole')}")
    if as_json:
        told = {name: {"whole": name not in faults, "fault": faults.get(name, "")} for name in names or store.names()}
        click.echo(json.dumps(told, indent=1))
    ctx.exit(1 if faults else 0)


@command.command()
@click.argument("name")
@click.argument("target", type=click.Path(path_type=Path))
@click.option("--format", "format", type=click.Choice(get_args(DiskFormat)), help="[default: by the target's suffix]")
@click.pass_obj
def export(store: ImageStore, name: str, target: Path, format: DiskFormat | None) -> None:
    """Write the disk of image NAME to the new file TARGET, as VHDX for Hyper-V, qcow2 or raw."""
    suffix = target.suffix.removeprefix(".").lower()
    if format is None and suffix not in get_args(DiskFormat):
        raise click.UsageError(
            f"{target.name} ends in no known format; give --format {'|'.join(get_args(DiskFormat))}."
        )
    written = store.export(name, target, format or cast(DiskFormat, suffix), progress_here())
    click.echo(f"{written} ({written.stat().st_size // MIB} MiB)")


@command.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.pass_obj
def remove(store: ImageStore, names: tuple[str, ...]) -> None:
    """Remove images, and what killed builds left of them."""
    for name in names:
        store.remove(name)
        click.echo(f"{name}: removed")


def _told(image: Image, as_json: bool) -> None:
    click.echo(json.dumps(_facts(image), indent=1) if as_json else f"{image.name}: {image.disk} ({image.digest})")


def _facts(image: Image) -> dict[str, object]:
    return {**asdict(image), "folder": str(image.folder), "disk": str(image.disk)}


def _row(image: Image) -> tuple[str, ...]:
    size = f"{image.virtual_size / 1024**3:.1f} GiB"
    return (image.name, image.os_family, image.guest_road, image.secure_boot, size, image.created, image.kernel)
