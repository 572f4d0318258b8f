"""A page a command: its help, and the pages of the guide on which it is used.

The pages are written into `commands/` before Sphinx reads them, as a list of all is for
`commands.md`.
"""

import pathlib
import re

import click
from docutils.nodes import make_id

from ddr_cli.main import ddr

_DOCS = pathlib.Path(__file__).resolve().parents[1]
# Pages of the guide in the order of a first reading; others follow by name.
_FIRST = ("get-started", "recipes", "data/videos", "training", "explore")
_MOST = 6  # that are named on the page of a command
_PAGE = """\
.. click:: commands:{name}
   :prog: {title}
   :nested: none
"""


def tree(command=ddr, path=("ddr",)):
    """Every command with its words: ("ddr", "plot", "swap"); groups come first."""
    yield path, command
    if isinstance(command, click.Group):
        for name in command.list_commands(None):
            yield from tree(command.get_command(None, name), (*path, name))


def page_of(words):
    """The page of a command, such as "commands/plot-swap"."""
    return "/".join(["commands", "-".join(words[1:])]) if words[1:] else "commands"


def __getattr__(name):
    """The command of a name such as `plot_swap`, for the pages."""
    for words, command in tree():
        if name == "_".join(words[1:]):
            return command
    raise AttributeError(name)


def _blocks(text):
    """Commands of a page: (heading above them, lines of one block)."""
    heading, block = "", None
    for line in text.splitlines():
        if line.startswith("```"):
            if block:
                yield heading, block
            block = [] if line == "```sh" else None
        elif block is not None:
            block.append(line)
        elif line.startswith("#"):
            heading = line.lstrip("# ").replace("`", "")


def used():
    """Words of a command -> (page, heading) where each page of the guide uses it."""
    found = {words: {} for words, _ in tree()}
    files = [page for page in _DOCS.rglob("*.md") if page.stem != "README"]
    pages = {str(page.relative_to(_DOCS).with_suffix("")): page for page in files}
    first = [page for page in _FIRST if page in pages]
    for page in [*first, *sorted(set(pages) - set(first))]:
        for heading, block in _blocks(pages[page].read_text(encoding="utf-8")):
            for words, places in found.items():
                start = re.compile(rf"(\S*/)?{' '.join(words)}(\s|$)")
                if any(start.match(line) for line in block):
                    places.setdefault(page, heading)
    return {words: list(places.items()) for words, places in found.items()}


def write(app):
    """Write a page a command, and the list of them."""
    folder = _DOCS / "commands"
    folder.mkdir(exist_ok=True)
    pages, lines = {}, []
    for words, command in tree():
        if not words[1:]:
            continue
        title, page = " ".join(words), page_of(words)
        pages[f"{page.partition('/')[2]}.rst"] = _PAGE.format(
            name="_".join(words[1:]), title=title
        )
        indent = "  " * (len(words) - 2)
        said = command.get_short_help_str(200)
        lines += [f"{indent}- :doc:`{title} </{page}>`: {said}", ""]
    names = [page.removesuffix(".rst") for page in pages]
    contents = [".. toctree::", "   :hidden:", "", *(f"   commands/{n}" for n in names)]
    pages["list.txt"] = "\n".join([*lines, *contents, ""])
    for old in folder.iterdir():
        if old.name not in pages:
            old.unlink()
    for name, text in pages.items():
        file = folder / name
        if not file.is_file() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")
    app.config.ddr_used = used()


def link(app, context, lines):
    """Say below the description of a command where it is used, or what is in it."""
    lines[:] = _in_code(lines)
    words = tuple(context.command_path.split())
    if not words[1:]:
        return
    inside = [w for w, _ in tree(context.command, words) if len(w) == len(words) + 1]
    lines += ["", *(f"- :doc:`{' '.join(w)} </{page_of(w)}>`" for w in inside), ""]
    places = [
        f"`{heading} <../{page}.html#{make_id(heading)}>`__"
        for page, heading in app.config.ddr_used[words][:_MOST]
    ]
    if places and not inside:
        lines += [f"Used in {', '.join(places)}.", ""]


def _in_code(lines):
    """Lines of a description; those that click takes as they are become code."""
    inside = False
    for line in lines:
        if line.startswith("| "):
            if not inside:
                yield from (".. code-block:: sh", "")
            yield f"   {line[2:].strip()}"
        else:
            yield line
        inside = line.startswith("| ")


def shorten(app, context, lines):
    """Name values by their setting, <steps> not <training__steps>; no quotes."""
    lines[:] = [re.sub(r"<\w+?__(\w+)>", r"<\1>", line) for line in lines]
    lines[:] = [re.sub(r":default: ``'(.*)'``", r":default: ``\1``", s) for s in lines]


def drop(app, context, lines):
    """Leave out arguments: the usage and the description name them."""
    lines.clear()


def setup(app):
    """Write the pages before they are read."""
    app.add_config_value("ddr_used", {}, "", dict)
    app.connect("config-inited", lambda app, config: write(app))
    app.connect("sphinx-click-process-description", link)
    app.connect("sphinx-click-process-options", shorten)
    app.connect("sphinx-click-process-arguments", drop)
    return {"parallel_read_safe": True}
