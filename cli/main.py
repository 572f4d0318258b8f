"""Entry point of the `ddr` command."""

import difflib
import io
import os
import sys
import tempfile
import warnings
from typing import Any

import click

from ddr_cli.arguments import Lazy
from ddr_cli.errors import Failure, Interrupted, one_line
from ddr_cli.progress import Progress

# Each is a function in the file of its name.
_COMMANDS = (
    "preprocess",
    "label",
    "fit",
    "judge",
    "evaluate",
    "compare",
    "confounds",
    "encode",
    "plot",
    "render",
    "events",
    "states",
    "explore",
    "demo",
    "info",
    "verify",
)
# Exceptions that `main` tells of.
_TOLD = click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError


class _Commands(Lazy):
    """Reports errors in one line."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        close = difflib.get_close_matches(args[0], _COMMANDS, 1)
        if close and args[0] not in _COMMANDS:
            ctx.fail(f"No such command '{args[0]}'. Did you mean '{close[0]}'?")
        return super().resolve_command(ctx, args)

    def main(self, *args: Any, standalone_mode: bool = True, **options: Any) -> Any:
        options = {"prog_name": "ddr", **options, "standalone_mode": False}
        if not standalone_mode:
            return super().main(*args, **options)
        try:
            with warnings.catch_warnings():
                warnings.showwarning = _show_warning
                code = super().main(*args, **options)
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
            code = error.exit_code
        except click.ClickException as error:
            text = one_line(error.format_message())
            if isinstance(error, click.UsageError) and error.ctx:
                text += f" (see {error.ctx.command_path} --help)"
            _complain(text if isinstance(error, Interrupted) else f"error: {text}")
            code = error.exit_code
        except click.Abort:
            _complain("interrupted")
            code = 130
        except BrokenPipeError:
            # The reader of the output has gone; Python's own flush must not complain.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            code = 1
        sys.exit(code if isinstance(code, int) else 0)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise Interrupted("interrupted") from None
        except _TOLD:
            raise
        except Exception as error:
            if ctx.params.get("debug"):
                raise
            raise Failure.of(error) from error


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    _complain(f"warning: {one_line(message)}")


def _complain(message: str) -> None:
    for progress in list(Progress.shown):
        progress.clear()
    click.echo(f"ddr: {message}", err=True)


@click.group(
    cls=_Commands,
    modules={name: name for name in _COMMANDS},
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.option(
    "--import",
    "modules",
    metavar="MODULE",
    multiple=True,
    envvar="DDR_IMPORT",
    show_envvar=True,
    help="Import a Python module of yours, installed or in the current folder, before "
    "a model is loaded: for models of your own class or with your own parts. May be "
    "given several times.",
)
@click.version_option(package_name="keras_ddr", message="keras_ddr %(version)s")
def ddr(debug: bool, modules: tuple[str, ...]) -> None:
    """Learn who is in a sequence of frames (f) and what each frame shows (z).

    A typical session:

    \b
      ddr preprocess puppets PUPPETS
      ddr fit PUPPETS --config tiny --out RUN
      ddr plot manifold RUN PUPPETS manifold.png
    """  # noqa: D301
    # Commands draw into files; a notebook names a backend that may not be installed.
    os.environ["MPLBACKEND"] = "agg"
    # A container's bare user number has no home, and libraries of Keras ask for one.
    if os.path.expanduser("~") == "~":
        os.environ["HOME"] = tempfile.gettempdir()


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        # File names may hold characters that a terminal cannot show.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    ddr.main()


if __name__ == "__main__":
    main()
