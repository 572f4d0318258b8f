"""The drawing of the house: which room imports which, read from the source itself.

python docs/_ext/house.py > house.svg
"""

import ast
import functools
import pathlib

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_WIDTH, _HEIGHT, _GAP, _RISE = 104, 30, 14, 44


def files(folder):
    """The Python files of "keras_ddr" or "cli"."""
    return sorted((_ROOT / folder).rglob("*.py"))


def room(path):
    """Folder or file right below keras_ddr that a file belongs to, or "ddr_cli"."""
    folder, *parts = path.relative_to(_ROOT).parts
    return "ddr_cli" if folder == "cli" else parts[0].removesuffix(".py")


def module(path):
    """Name under which a file is imported, such as "keras_ddr.data.store"."""
    name = ".".join(path.relative_to(_ROOT).with_suffix("").parts)
    return name.replace("cli", "ddr_cli", 1).removesuffix(".__init__")


@functools.cache
def imported(path, types=True):
    """Full names that a file imports, anywhere in it.

    Args:
        path: A file.
        types: Whether to count imports that only type checkers follow.

    Returns:
        List with "os.path" for `import os.path`, "os.path.join" for
        `from os.path import join`.
    """
    names = []
    for node in _nodes(tree(path), types):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise ValueError(f"{path}: relative import")
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


@functools.cache
def tree(path):
    """The parsed file."""
    return ast.parse(path.read_text(encoding="utf-8"))


def _nodes(tree, types):
    for node in ast.iter_child_nodes(tree):
        test = getattr(node, "test", None)
        if isinstance(test, ast.Name) and test.id == "TYPE_CHECKING" and not types:
            continue
        yield node
        yield from _nodes(node, types)


def imports():
    """Rooms, and those that each of them imports when it runs.

    Returns:
        Dict from a room ("layers", "model", …, "ddr_cli") to a set of rooms.
    """
    edges = {}
    for path in files("keras_ddr") + files("cli"):
        if room(path) != "__init__":
            names = [n for n in imported(path, False) if n.startswith("keras_ddr.")]
            edges.setdefault(room(path), set()).update(n.split(".")[1] for n in names)
    return {name: (others & set(edges)) - {name} for name, others in edges.items()}


def imports_of_files():
    """Files of keras_ddr and cli by module name, and those that each imports.

    Imports for types count, too.
    """
    paths = {module(path): path for path in files("keras_ddr") + files("cli")}
    edges = {}
    for name, path in paths.items():
        # An import names a module, or a name in one.
        others = {n if n in paths else n.rpartition(".")[0] for n in imported(path)}
        edges[name] = (others & set(paths)) - {name}
    return edges


def circles(edges):
    """Sets of nodes that reach each other, as sorted lists."""
    reached = {node: _reach(node, edges) for node in edges}
    found = {
        tuple(sorted(other for other in reached[node] if node in reached[other]))
        for node in edges
        if node in reached[node]
    }
    return sorted(map(list, found))


def floors(edges):
    """Rooms by floor: each stands above all that it imports.

    Raises:
        ValueError: Two rooms import each other.
    """
    level, under_way = {}, set()

    def rise(room):
        if room in under_way:
            raise ValueError(f"{room} is imported by what it imports")
        if room not in level:
            under_way.add(room)
            level[room] = max((rise(other) + 1 for other in edges[room]), default=0)
            under_way.discard(room)
        return level[room]

    for room in edges:
        rise(room)
    rows = [[] for _ in range(max(level.values()) + 1)]
    for room in sorted(level):
        rows[level[room]].append(room)
    return rows


def _reach(room, edges, seen=None):
    seen = set() if seen is None else seen
    for other in edges[room]:
        if other not in seen:
            seen.add(other)
            _reach(other, edges, seen)
    return seen


def direct(edges):
    """The imports without those that follow from others."""
    return {
        room: {
            other
            for other in others
            if not any(other in _reach(third, edges) for third in others - {other})
        }
        for room, others in edges.items()
    }


def svg():
    """The drawing, in the colours of the text around it."""
    edges = imports()
    rows = floors(edges)
    lines = direct(edges)
    widest = max(map(len, rows))
    width = widest * (_WIDTH + _GAP) + _GAP
    height = len(rows) * (_HEIGHT + _RISE) - _RISE + 2 * _GAP
    place = {}
    for level, row in enumerate(rows):
        if level:  # near what they stand on
            row.sort(
                key=lambda room: (
                    sum(place[o][0] for o in lines[room]) / max(len(lines[room]), 1)
                )
            )
        left = (width - len(row) * (_WIDTH + _GAP) + _GAP) / 2
        for column, room in enumerate(row):
            x = left + column * (_WIDTH + _GAP)
            y = height - _GAP - _HEIGHT - level * (_HEIGHT + _RISE)
            place[room] = (x + _WIDTH / 2, y)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img" '
        'aria-label="Rooms of the package; each imports those below that it is tied to"'
        ' font-family="sans-serif" font-size="13">'
    ]
    for room, others in sorted(lines.items()):
        x, y = place[room]
        for other in sorted(others):
            to, top = place[other]
            bottom = y + _HEIGHT
            bend = (top - bottom) / 2
            parts.append(
                f'<path d="M{x:.0f} {bottom:.0f} C{x:.0f} {bottom + bend:.0f} '
                f'{to:.0f} {top - bend:.0f} {to:.0f} {top:.0f}" fill="none" '
                'stroke="currentColor" stroke-opacity=".45"/>'
            )
    for room, (x, y) in sorted(place.items()):
        parts.append(
            f'<rect x="{x - _WIDTH / 2:.0f}" y="{y:.0f}" width="{_WIDTH}" '
            f'height="{_HEIGHT}" rx="4" class="room" stroke="currentColor"/>'
            f'<text x="{x:.0f}" y="{y + 20:.0f}" text-anchor="middle" '
            f'fill="currentColor">{room}</text>'
        )
    return "\n".join([*parts, "</svg>"])


def setup(app):
    """Offer the directive `house`, which draws the house."""
    from docutils import nodes
    from docutils.parsers.rst import Directive

    class House(Directive):
        def run(self):
            html = f'<div class="house">{svg()}</div>'
            return [nodes.raw("", html, format="html")]

    app.add_directive("house", House)
    return {"parallel_read_safe": True}


if __name__ == "__main__":
    print(svg())
