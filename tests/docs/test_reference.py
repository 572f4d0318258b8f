"""Every public name is in the API reference, with a description."""

import importlib
import inspect
import os
import pathlib

import pytest

import house

_ROOT = pathlib.Path(__file__).resolve().parents[2]
sphinx = pytest.importorskip("sphinx")


@pytest.fixture(scope="module")
def inventory():
    """Names that the built site documents; it is built without examples if need be."""
    from sphinx.util.inventory import InventoryFile

    site = os.environ.get("DDR_SITE")
    if not site:
        pytest.skip("DDR_SITE names no built site")
    content = (pathlib.Path(site) / "objects.inv").read_bytes()
    loaded = InventoryFile.loads(content, uri="").data
    return {
        name
        for kind, names in loaded.items()
        if kind.startswith("py:")
        for name in names
    }


@pytest.fixture(scope="module")
def names():
    import reference

    return reference.names()


def test_every_public_name_is_in_the_site(names, inventory):
    assert len(names) > 150
    assert not set(names.values()) - inventory


def test_every_module_is_on_a_page(names):
    """`__all__` of each module, whatever page it is on."""
    modules = {
        ".".join(path.relative_to(_ROOT).with_suffix("").parts)
        for path in (_ROOT / "keras_ddr").rglob("*.py")
        if "__all__ = [" in path.read_text(encoding="utf-8")
        and not path.stem.endswith("_step")  # each needs a backend of its own
    }
    modules = {module.removesuffix(".__init__") for module in modules}
    for module in modules:
        for name in importlib.import_module(module).__all__:
            member = getattr(importlib.import_module(module), name)
            assert inspect.ismodule(member) or f"{module}.{name}" in names


def test_every_public_name_is_described(names):
    from sphinx.pycode import ModuleAnalyzer

    for full in sorted(set(names.values())):
        module, _, name = full.rpartition(".")
        member = getattr(importlib.import_module(module), name)
        if (getattr(member, "__module__", None) or "").startswith("keras_ddr"):
            assert inspect.getdoc(member), full
            continue
        analyzer = ModuleAnalyzer.for_module(module)
        analyzer.analyze()
        assert ("", name) in analyzer.attr_docs, full


def test_the_house_is_drawn_from_the_imports():
    drawing = house.svg()
    rooms = {house.room(path) for path in house.files("keras_ddr")}
    assert len(rooms) > 20
    for room in rooms - {"__init__"}:
        assert f">{room}</text>" in drawing, room
