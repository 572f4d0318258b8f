"""Code in text becomes a link where it is a public name or a command.

Pages and docstrings then stay plain: `keras_ddr.DDR.encode`, `FrameSets`, `ddr fit`.
"""

import collections
import importlib
import importlib.util
import re

import commands
import reference
import shell
from docutils import nodes
from sphinx import addnodes
from sphinx.transforms import SphinxTransform
from sphinx.util import logging
from sphinx.util.nodes import make_refnode

_SHORT = 24  # characters; such code is kept on one line
_log = logging.getLogger(__name__)


def _targets():
    """What may be written, and the full name it stands for."""
    full = reference.names()
    short = collections.defaultdict(set)
    for written, place in full.items():
        short[written.rpartition(".")[2]].add(place)
    # Only names that could be nothing else: classes, and what is unique and long.
    unique = {
        name: places.pop()
        for name, places in short.items()
        if len(places) == 1 and name[:1].isupper()
    }
    return {**unique, **full}


class LinkNames(SphinxTransform):
    """Wrap literals that name something into references."""

    default_priority = 100

    def apply(self, **kwargs):
        targets = _targets()
        names = {" ".join(words): words for words, _ in commands.tree()}
        for literal in list(self.document.findall(nodes.literal)):
            if isinstance(literal.parent, nodes.reference | addnodes.pending_xref):
                continue
            text = literal.astext()
            if len(text) <= _SHORT:
                literal["classes"].append("short")
            if any(
                isinstance(a, nodes.title | addnodes.desc_signature)
                for a in _ancestors(literal)
            ):
                continue
            if text in names and text != "ddr":  # that is a model more often
                self._wrap(literal, "", "command", text)
            elif name := _find(text, targets):
                self._wrap(literal, "py", "obj", name)
            elif re.fullmatch(r"keras_ddr(\.\w+)+", text) and not _is_module(text):
                _log.warning("%s is no public name", text, location=literal)
            elif len(text) > _SHORT:
                _break_within(literal, text)

        self._name_commands(set(names))
        self._lengthen_dashes()

    def _name_commands(self, known):
        """Call sections of commands by all of their name: `ddr fit`, not `fit`."""
        for section in self.document.findall(nodes.section):
            for name in known.intersection(section["names"]):
                section[0].clear()
                section[0] += nodes.Text(name)

    def _lengthen_dashes(self):
        """Sphinx writes two hyphens between an argument and what is said of it."""
        for text in list(self.document.findall(nodes.Text)):
            if text.startswith(" -- ") and isinstance(text.parent, nodes.paragraph):
                text.parent.replace(text, nodes.Text(f" – {text[4:]}"))

    def _wrap(self, literal, domain, kind, target):
        xref = addnodes.pending_xref(
            "",
            refdomain=domain,
            reftype=kind,
            reftarget=target,
            refexplicit=True,
            refwarn=True,
            refdoc=self.env.docname,
        )
        literal.replace_self(xref)
        xref += literal


def _break_within(literal, text):
    """Let paths and names go on in the next line behind a / or _, and options never."""
    parts = re.split(r"(?<=[/_])(?=\w)|(?<=\w)(?=::)", text)
    literal.clear()
    for place, part in enumerate(parts):
        if place:
            literal += nodes.raw("", "<wbr>", format="html")
        pieces = [nodes.Text(piece) for piece in shell.OPTION.split(part)]
        pieces[1::2] = [
            nodes.inline("", "", option, classes=["short"]) for option in pieces[1::2]
        ]
        literal += pieces


def _ancestors(node):
    while node.parent is not None:
        node = node.parent
        yield node


def _find(text, targets):
    text = re.sub(r"\(.*\)$", "", text, flags=re.DOTALL)
    if text in targets:
        return targets[text]
    owner, _, member = text.rpartition(".")
    if owner in targets and _has(targets[owner], member):
        return f"{targets[owner]}.{member}"
    return None


def _has(full, member):
    """Whether a class of this package defines a documented method of that name."""
    module, _, name = full.rpartition(".")
    cls = getattr(importlib.import_module(module), name)
    if not isinstance(cls, type) or member in reference.AS_IN_KERAS:
        return False
    return not member.startswith("_") and any(
        getattr(base.__dict__.get(member), "__doc__", None)
        for base in cls.__mro__
        if base.__module__.startswith("keras_ddr")
    )


def _is_module(text):
    try:
        return importlib.util.find_spec(text) is not None
    except ModuleNotFoundError:
        return False


def link_command(app, env, node, content):
    """The page of a command."""
    if node["reftype"] != "command":
        return None
    words = node["reftarget"].split()
    place = (commands.page_of(words), "-".join(words))
    return make_refnode(app.builder, node["refdoc"], *place, content)


def leave_to_gallery(app, docname, content):
    """Names in the code of examples are links that sphinx-gallery makes."""
    if docname.startswith("gallery/plot_"):
        content[0] = f".. autolink-skip:: file\n\n{content[0]}"


def setup(app):
    """Look at every page and docstring."""
    app.connect("source-read", leave_to_gallery)
    app.connect("missing-reference", link_command)
    app.add_transform(LinkNames)
    return {"parallel_read_safe": True}
