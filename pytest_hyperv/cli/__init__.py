"""The command ``pytest-hyperv``: one module per subject, imported only when it is used, so that ``--help`` is quick.

Exit status: 0 fine, 1 the thing asked about is not fine, 2 used wrongly.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from pytest_hyperv.errors import HypervError

COMMANDS = {
    "doctor": ("pytest_hyperv.cli.doctor", "Tell what can run from here, what not, and what would change that."),
    "images": ("pytest_hyperv.cli.images", "Golden images: list, build, import, verify, export, remove."),
    "states": ("pytest_hyperv.cli.states", "Saved states: list, tree, build, remove, prune."),
    "vms": ("pytest_hyperv.cli.vms", "List the machines that live, and whose they are."),
    "run": ("pytest_hyperv.cli.run_command", "Make a machine of a state or image, for a person."),
    "shell": ("pytest_hyperv.cli.shell", "Open a shell in a machine."),
    "exec": ("pytest_hyperv.cli.exec_command", "Run a program in a machine."),
    "cp": ("pytest_hyperv.cli.cp", "Copy files into a machine, or out of it."),
    "console": ("pytest_hyperv.cli.console", "Show what a machine said on its serial console."),
    "screenshot": ("pytest_hyperv.cli.screenshot", "Save what is on a machine's screen."),
    "open": ("pytest_hyperv.cli.open_command", "Show a machine's screen in a window."),
    "gc": ("pytest_hyperv.cli.gc", "Remove what runs that died left behind."),
    "report": ("pytest_hyperv.cli.report", "Put the pages of several runs together, or draw one anew."),
    "setup": ("pytest_hyperv.cli.setup", "Install the operating system's packages that machines need."),
}
"""Name of a command, the module that holds it as ``command``, and its line in ``--help``."""


class Commands(click.Group):
    """A group whose commands are listed from a table and imported when called. A HypervError ends it with status 1."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """The names of the table, in its order."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command of that name, its module imported now."""
        if cmd_name not in COMMANDS:
            return None
        command = import_module(COMMANDS[cmd_name][0]).command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The list in ``--help``, without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, described) for name, (_, described) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; what it raises as a HypervError is printed as one paragraph."""
        try:
            return super().invoke(ctx)
        except HypervError as error:
            click.echo(f"Error: {error}", err=True)
            ctx.exit(1)


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="pytest-hyperv")
def main() -> None:
    """Disposable virtual machines for tests: what they are made from, and what is left of them."""
