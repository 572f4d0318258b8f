"""Tables of sentences become cards on a phone, where columns would be a word wide.

Cells get the heading of their column as a label, which other screens do not show.
"""

import html
import statistics

from docutils import nodes
from sphinx.transforms import SphinxTransform

_LONG = 32  # characters of the longest cell of a row, in the mean, that are sentences
_MOST = 4  # columns of such a table


class LabelCells(SphinxTransform):
    """Name tables of sentences `prose`, and label their cells."""

    default_priority = 800

    def apply(self, **kwargs):
        for table in self.document.findall(nodes.table):
            head, body = table.next_node(nodes.thead), table.next_node(nodes.tbody)
            if head is None or len(head[0]) > _MOST:
                continue
            lengths = [max(len(cell.astext()) for cell in row) for row in body]
            if statistics.fmean(lengths) < _LONG:
                continue
            table["classes"].append("prose")
            names = [entry.astext() for entry in head[0]]
            for row in body:
                for name, cell in list(zip(names, row, strict=True))[1:]:
                    if cell.children and name:
                        name = html.escape(name)
                        label = f'<span class="of-column">{name}</span>'
                        cell[0].insert(0, nodes.raw("", label, format="html"))


def setup(app):
    """Look at each page once it is read."""
    app.add_transform(LabelCells)
    return {"parallel_read_safe": True}
