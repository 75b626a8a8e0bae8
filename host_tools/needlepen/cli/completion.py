"""`needlepen completion`: commands, options and names of pens are completed by the shell."""

from __future__ import annotations

import click


@click.command(
    epilog="Examples:  needlepen completion bash > ~/.local/share/bash-completion/completions/needlepen  |  "
    "needlepen completion zsh > ~/.zfunc/_needlepen  |  "
    "needlepen completion fish > ~/.config/fish/completions/needlepen.fish"
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script that makes SHELL complete commands, options and the names of pens.

    Save it where the shell looks for such scripts, or for one session: eval "$(needlepen completion bash)".
    """
    from click.shell_completion import get_completion_class

    from needlepen.cli import cli

    kind = get_completion_class(shell)
    assert kind is not None, "click knows all three"
    click.echo(kind(cli, {}, "needlepen", "_NEEDLEPEN_COMPLETE").source())
