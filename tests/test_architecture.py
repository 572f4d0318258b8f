"""The house: imports point one way, and backends have their rooms."""

import ast
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[1]
_BACKENDS = {"tensorflow", "jax", "torch"}
_HEAVY = {"cv2", "matplotlib", "click"}

# What each room of keras_ddr may import from the others.
_MAY_IMPORT = {
    "errors": set(),
    "version": set(),
    "typing": set(),
    "files": {"errors"},
    "configs": {"errors"},
    "arguments": {"errors"},
    "checks": {"arguments", "errors"},
    "gaussian": set(),
    "likelihoods": {"errors"},
    "layers": {"arguments", "errors", "gaussian"},
    "objective": {"arguments", "gaussian"},
    "programs": set(),
    "training": {"arguments", "errors"},
    "inference": {"arguments", "checks", "errors", "gaussian", "programs"},
    "model": {
        "arguments",
        "checks",
        "configs",
        "errors",
        "gaussian",
        "inference",
        "layers",
        "likelihoods",
        "objective",
        "programs",
        "training",
    },
    "model_files": {"errors", "model"},
    "data": {"arguments", "checksums", "errors", "files", "version"},
    "checksums": set(),
    "runs": {
        "arguments",
        "checks",
        "checksums",
        "configs",
        "data",
        "errors",
        "files",
        "model",
        "model_files",
        "training",
        "version",
        "visualization",
    },
    "callbacks": {"arguments", "errors", "files", "model_files", "runs", "training"},
    "media": {"errors"},
    "faces": {"data", "errors", "files", "media"},
    "datasets": {"arguments", "data", "errors", "faces", "files", "media", "version"},
    "encoding": {"data", "errors", "files"},
    "events": {"arguments", "errors", "files"},
    "evaluation": {
        "arguments",
        "checks",
        "data",
        "errors",
        "files",
        "gaussian",
        "inference",
        "model",
    },
    "visualization": {
        "arguments",
        "data",
        "errors",
        "evaluation",
        "events",
        "files",
        "inference",
    },
}


class _WithoutTypes(ast.NodeTransformer):
    """Leaves out what type checkers alone import: nothing runs by it."""

    def visit_If(self, node):
        types = isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        return node.orelse if types else self.generic_visit(node)


def _imports(path):
    """Top-level names and full names that a file imports."""
    tree = _WithoutTypes().visit(ast.parse(path.read_text(encoding="utf-8")))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            if node.module == "keras_ddr":
                yield from (f"keras_ddr.{alias.name}" for alias in node.names)
            else:
                yield node.module


def _files(folder):
    return sorted((_ROOT / folder).rglob("*.py"))


def _room(path):
    return path.relative_to(_ROOT / "keras_ddr").parts[0].removesuffix(".py")


@pytest.mark.parametrize("room", sorted(_MAY_IMPORT))
def test_imports_point_one_way(room):
    files = [path for path in _files("keras_ddr") if _room(path) == room]
    assert files, f"keras_ddr/{room} is gone: update this test"
    for path in files:
        for name in _imports(path):
            if name.startswith("keras_ddr."):
                other = name.split(".")[1]
                allowed = _MAY_IMPORT[room] | {room}
                assert other in allowed, f"{path} imports keras_ddr.{other}"


def test_few_rooms_name_a_backend():
    for path in _files("keras_ddr"):
        if _room(path) == "training" or path.name in ("convolution.py", "replicas.py"):
            continue
        names = {name.split(".")[0] for name in _imports(path)}
        assert not names & _BACKENDS, path


def test_model_and_data_need_no_pictures_and_no_command_line():
    for path in _files("keras_ddr"):
        names = {name.split(".")[0] for name in _imports(path)}
        assert "click" not in names, path
        if _room(path) not in ("visualization", "datasets", "faces", "media"):
            assert not names & _HEAVY, path


def test_opencv_has_one_door():
    """So that drawn data, training and figures do without it; workers count threads."""
    found = {path.name for path in _files("keras_ddr") if "cv2" in _imports(path)}
    assert found == {"opencv.py", "execution.py"}
    assert not any("cv2" in _imports(path) for path in _files("cli"))
