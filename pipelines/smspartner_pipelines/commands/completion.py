"""The command `smspartner completion`."""

from __future__ import annotations

import click

from smspartner_pipelines.completion import SHELLS, Shell, completion_script


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: Shell) -> None:
    """Print the script that lets a shell complete commands, options and values.

    It is read when the shell starts: bash and zsh by a line in ~/.bashrc or ~/.zshrc, fish from its folder.

    \b
    smspartner completion bash >> ~/.bashrc
    smspartner completion zsh >> ~/.zshrc
    smspartner completion fish > ~/.config/fish/completions/smspartner.fish
    """  # noqa: D301  # \b is click's mark
    click.echo(completion_script(shell))
