"""The house: imports point one way, and backends have their rooms."""

import ast

import pytest

import house

_BACKENDS = {"tensorflow", "jax", "torch"}
_HEAVY = {"cv2", "matplotlib", "click"}

# What each room of keras_ddr may import from the others.
_MAY_IMPORT = {
    "errors": set(),
    "version": set(),
    "typing": set(),
    "files": {"errors"},
    "host": set(),
    "presets": {"code_densities", "errors", "files"},
    "arguments": {"errors"},
    "signals": set(),
    "manifest": {"errors", "files"},
    "checks": {"arguments", "errors", "host"},
    "codes": {"checks", "gaussian"},
    "gaussian": set(),
    "mixture": {"errors"},
    "subspaces": {"mixture"},
    "alignment": {"errors", "mixture", "subspaces"},
    "code_densities": {"alignment", "errors", "mixture", "subspaces"},
    "densities": {
        "alignment",
        "arguments",
        "code_densities",
        "encoding",
        "mixture",
    },
    "likelihoods": {"errors"},
    "layers": {"arguments", "errors", "gaussian"},
    "objective": {"arguments", "gaussian"},
    "optimizers": {"arguments", "errors"},
    "programs": set(),
    "training": {"arguments", "errors"},
    "fitted_on_sets": {"checks", "code_densities", "errors", "training"},
    "sequence_model": {
        "arguments",
        "code_densities",
        "codes",
        "errors",
        "fitted_on_sets",
        "gaussian",
        "presets",
    },
    "inference": {
        "arguments",
        "checks",
        "codes",
        "errors",
        "gaussian",
        "programs",
        "sequence_model",
    },
    "loss": {"errors", "layers", "objective", "sequence_model"},
    "model": {
        "arguments",
        "checks",
        "inference",
        "layers",
        "likelihoods",
        "loss",
        "presets",
        "programs",
        "training",
    },
    "models": {
        "arguments",
        "checks",
        "codes",
        "errors",
        "gaussian",
        "host",
        "layers",
        "likelihoods",
        "loss",
        "model",
        "objective",
        "presets",
        "programs",
        "sequence_model",
        "training",
    },
    "model_files": {"errors", "sequence_model"},
    "checkpoints": {"errors", "manifest"},
    "callbacks": {
        "arguments",
        "checkpoints",
        "errors",
        "files",
        "model_files",
        "signals",
        "training",
    },
    "data": {"arguments", "errors", "files", "host", "manifest", "version"},
    "runs": {
        "arguments",
        "callbacks",
        "checkpoints",
        "data",
        "densities",
        "errors",
        "files",
        "manifest",
        "model",
        "model_files",
        "optimizers",
        "presets",
        "sequence_model",
        "signals",
        "training",
        "version",
        "visualization",
    },
    "media": {"errors", "files"},
    "faces": {"data", "errors", "files", "media"},
    "tracks": {"errors", "files"},
    "datasets": {
        "arguments",
        "data",
        "errors",
        "faces",
        "files",
        "media",
        "tracks",
        "version",
    },
    "exports": {"data", "errors", "files", "media", "version"},
    "encoding": {"codes", "data", "errors", "exports", "files"},
    "events": {"arguments", "codes", "errors", "exports", "files"},
    "evaluation": {
        "arguments",
        "codes",
        "data",
        "encoding",
        "errors",
        "layers",
        "model_files",
    },
    "states": {
        "arguments",
        "data",
        "errors",
        "evaluation",
        "events",
        "exports",
        "files",
        "mixture",
    },
    "visualization": {
        "codes",
        "arguments",
        "data",
        "encoding",
        "errors",
        "evaluation",
        "events",
        "files",
        "media",
        "mixture",
        "states",
    },
}


_SOURCES = house.files("keras_ddr") + house.files("cli")


def _packages(path):
    return {name.split(".")[0] for name in house.imported(path, types=False)}


@pytest.mark.parametrize("room", sorted(_MAY_IMPORT))
def test_imports_point_one_way(room):
    files = [path for path in house.files("keras_ddr") if house.room(path) == room]
    assert files, f"keras_ddr/{room} is gone: update this test"
    for path in files:
        for name in house.imported(path, types=False):
            if name.startswith("keras_ddr."):
                other = name.split(".")[1]
                allowed = _MAY_IMPORT[room] | {room}
                assert other in allowed, f"{path} imports keras_ddr.{other}"


def test_few_rooms_name_a_backend():
    for path in house.files("keras_ddr"):
        if house.room(path) == "training" or path.name in (
            "convolution.py",
            "sampling.py",
        ):
            continue
        names = _packages(path)
        assert not names & _BACKENDS, path


def test_model_and_data_need_no_pictures_and_no_command_line():
    for path in house.files("keras_ddr"):
        names = _packages(path)
        assert "click" not in names, path
        if house.room(path) not in ("visualization", "datasets", "faces", "media"):
            assert not names & _HEAVY, path


def test_opencv_has_one_door():
    """So that drawn data, training and figures do without it; workers count threads."""
    found = {path.name for path in house.files("keras_ddr") if "cv2" in _packages(path)}
    assert found == {"opencv.py", "work.py"}
    assert not any("cv2" in _packages(path) for path in house.files("cli"))


def test_no_file_imports_itself_by_way_of_others():
    assert house.circles(house.imports_of_files()) == []


def _functions():
    """Every function as its full name, whether it is public, and its node."""

    def walk(node, name, public):
        for child in ast.iter_child_nodes(node):
            kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
            if isinstance(child, kinds):
                shown = not child.name.startswith("_") or child.name == "__init__"
                inner = f"{name}.{child.name}"
                if not isinstance(child, ast.ClassDef):
                    yield inner, public and shown, child
                yield from walk(child, inner, public and shown)
            else:
                yield from walk(child, name, public)

    for path in _SOURCES:
        yield from walk(house.tree(path), house.module(path), True)


def test_functions_have_at_most_90_lines():
    found = {n for n, _, node in _functions() if node.end_lineno - node.lineno >= 90}
    assert found == set()


def test_public_functions_have_at_most_10_arguments():
    """And those that make a store of a data set 8; DDR is put together from parts."""
    found = set()
    for name, public, node in _functions():
        names = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        number = sum(argument.arg not in ("self", "cls") for argument in names)
        if public and number > (8 if name.endswith(".prepare") else 10):
            found.add(name)
    assert found - {"keras_ddr.model.DDR.__init__"} == set()


def test_files_have_at_most_450_lines_or_say_why():
    """A reason is a comment right below the docstring: "# Long because …"."""
    found = set()
    for path in _SOURCES:
        lines = path.read_text(encoding="utf-8").splitlines()
        if len(lines) > 450 and not any(x.startswith("# Long because") for x in lines):
            found.add(house.module(path))
    assert found == set()
