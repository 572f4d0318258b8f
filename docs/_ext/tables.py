"""Tables of sentences become cards on a phone, where columns would be a word wide.

Cells get the heading of their column as a label, which other screens do not show.
"""

import html

from docutils import nodes
from sphinx.transforms import SphinxTransform

_LONG = 60  # characters of a cell from which on a table is one of sentences
_MOST = 4  # columns of such a table


class LabelCells(SphinxTransform):
    """Name tables of sentences `prose`, and label their cells."""

    default_priority = 800

    def apply(self, **kwargs):
        for table in self.document.findall(nodes.table):
            head, body = table.next_node(nodes.thead), table.next_node(nodes.tbody)
            if head is None or len(head[0]) > _MOST:
                continue
            cells = [list(enumerate(row)) for row in body]
            if all(len(c.astext()) < _LONG for row in cells for _, c in row):
                continue
            table["classes"].append("prose")
            names = [entry.astext() for entry in head[0]]
            for row in cells:
                for column, cell in row[1:]:
                    if cell.children and names[column]:
                        name = html.escape(names[column])
                        label = f'<span class="of-column">{name}</span>'
                        cell[0].insert(0, nodes.raw("", label, format="html"))


def setup(app):
    """Look at each page once it is read."""
    app.add_transform(LabelCells)
    return {"parallel_read_safe": True}
