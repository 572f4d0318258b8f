"""The API reference: a page a room, with every public name of the package.

A name is documented where it is imported from: at the package if its `__init__` offers
it, at its module otherwise. `names()` says where that is.
"""

import importlib
import inspect
import pathlib
import pkgutil

import keras_ddr

_ROOT = "keras_ddr"
# Each needs a Keras backend of its own; keras_ddr.training offers the one in use.
_OF_A_BACKEND = ("jax_step", "tensorflow_step", "torch_step")

PAGES = {
    "model": (
        "Model and codes",
        [
            "keras_ddr",
            "keras_ddr.model",
            "keras_ddr.sequence_model",
            "keras_ddr.fitted_on_sets",
            "keras_ddr.codes",
            "keras_ddr.objective",
            "keras_ddr.loss",
            "keras_ddr.inference",
            "keras_ddr.gaussian",
            "keras_ddr.densities",
            "keras_ddr.alignment",
            "keras_ddr.code_densities",
            "keras_ddr.subspaces",
            "keras_ddr.mixture",
        ],
    ),
    "models": (
        "Other models",
        [
            "keras_ddr.models",
            "keras_ddr.models.base",
            "keras_ddr.models.neural_statistician",
            "keras_ddr.models.dsvae",
            "keras_ddr.models.fhvae",
            "keras_ddr.models.drnet",
            "keras_ddr.models.drnet_prediction",
            "keras_ddr.models.mocogan",
            "keras_ddr.models.svg",
        ],
    ),
    "layers": ("Layers", ["keras_ddr.layers"]),
    "likelihoods": ("Likelihoods", ["keras_ddr.likelihoods"]),
    "presets": ("Presets", ["keras_ddr.presets"]),
    "training": (
        "Training and runs",
        [
            "keras_ddr.runs",
            "keras_ddr.callbacks",
            "keras_ddr.optimizers",
            "keras_ddr.training",
        ],
    ),
    "data": ("Frame stores and sets of frames", ["keras_ddr.data"]),
    "datasets": ("Data sets", ["keras_ddr.datasets"]),
    "encoding": (
        "Codes and events",
        ["keras_ddr.encoding", "keras_ddr.events", "keras_ddr.exports"],
    ),
    "states": ("States", ["keras_ddr.states"]),
    "evaluation": ("Evaluation", ["keras_ddr.evaluation"]),
    "visualization": ("Figures and films", ["keras_ddr.visualization"]),
    "inside": (
        "Inside",
        [
            "keras_ddr.errors",
            "keras_ddr.signals",
            "keras_ddr.typing",
            "keras_ddr.version",
        ],
    ),
}

# What Keras asks of every layer and says itself.
AS_IN_KERAS = (
    "build",
    "get_config",
    "compute_output_shape",
    "get_compile_config",
    "compile_from_config",
    "save_own_variables",
    "load_own_variables",
)
# Methods of these bases and of their bases are described by Keras.
_KERAS_BASES = "Model, Layer, Conv2D, Conv2DTranspose, PyDataset, Callback, tuple, dict"


def modules():
    """Names of all modules with public names, packages before what is in them."""
    found = [_ROOT] + [
        module.name
        for module in pkgutil.walk_packages(keras_ddr.__path__, f"{_ROOT}.")
        if not module.name.endswith(_OF_A_BACKEND)
    ]
    return [name for name in found if hasattr(importlib.import_module(name), "__all__")]


def names():
    """Where each public name is documented.

    Returns:
        Dict from every "module.name" of an `__all__` to the full name of its entry.
    """
    entries, of_object = {}, {}
    for module in modules():
        loaded = importlib.import_module(module)
        for name in loaded.__all__:
            member = getattr(loaded, name)
            if inspect.ismodule(member):
                continue
            full = f"{module}.{name}"
            entries[full] = full
            if hasattr(member, "__qualname__"):
                # Packages come first, so that theirs is the place.
                entries[full] = of_object.setdefault(id(member), full)
            else:
                # The comment on a constant is where it is set.
                parent = module.rpartition(".")[0]
                if f"{parent}.{name}" in entries:
                    entries[f"{parent}.{name}"] = full
    return entries


def _entry(full):
    module, _, name = full.rpartition(".")
    member = getattr(importlib.import_module(module), name)
    ours = (getattr(member, "__module__", None) or "").startswith(_ROOT)
    if not ours or not (inspect.isclass(member) or inspect.isroutine(member)):
        yield f".. autodata:: {full}"  # a constant, or a name for a type
    elif inspect.isclass(member):
        yield f".. autoclass:: {full}"
        yield f"   :inherited-members: {_KERAS_BASES}"
        yield f"   :exclude-members: {', '.join(AS_IN_KERAS)}"
        yield "   :show-inheritance:" if issubclass(member, Exception) else ""
    else:
        yield f".. autofunction:: {full}"
    yield ""


def _page(title, rooms):
    yield title
    yield "=" * len(title)
    yield ""
    places = names()
    for module in modules():
        if module not in rooms and module.rpartition(".")[0] not in rooms:
            continue
        if _ROOT in rooms and module not in rooms:
            continue
        here = [f for f, place in places.items() if f == place]
        here = [f for f in here if f.rpartition(".")[0] == module]
        if not here and module not in rooms:
            continue
        yield module
        yield "-" * len(module)
        yield ""
        yield f".. automodule:: {module}"
        yield "   :no-members:"
        if module in places.values():
            yield "   :no-index:"
        yield ""
        for full in here:
            yield from _entry(full)


def write(app):
    """Write the pages that `reference/index.md` lists.

    Raises:
        ValueError: A module is on no page.
    """
    on_pages = {room for _, rooms in PAGES.values() for room in rooms}
    for module in modules():
        parent = module.rpartition(".")[0]
        if module not in on_pages and (parent == _ROOT or parent not in on_pages):
            raise ValueError(f"{module} is on no page; name it in {__file__}")
    folder = pathlib.Path(app.srcdir) / "reference"
    for name, (title, rooms) in PAGES.items():
        text = "\n".join(_page(title, rooms)) + "\n"
        file = folder / f"{name}.rst"
        if not file.is_file() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")


def keep_colons(app, what, name, obj, options, lines):
    """Have napoleon take no words before a colon for a type: they are a sentence."""
    types = [i for i, line in enumerate(lines) if line.startswith(":type: ")]
    if what in ("data", "attribute", "property") and types:
        text = lines.pop(types[0]).removeprefix(":type: ")
        lines.insert(0, f"{text}: {lines.pop(0)}")


def constructor(app, what, name, obj, options, signature, returns):
    """Show the arguments of `__init__`, which Keras hides behind its `__new__`."""
    if what == "class" and "*args, **kwargs" in (signature or ""):
        _, *parameters = inspect.signature(obj.__init__).parameters.values()
        plain = [
            each.replace(annotation=inspect.Parameter.empty) for each in parameters
        ]
        return str(inspect.Signature(plain)), returns
    return None


def only_ours(app, what, name, obj, skip, options):
    """Leave out what a class has from Keras."""
    module = getattr(obj, "__module__", None) or ""
    return True if module.startswith("keras.") else None


def setup(app):
    """Write the pages before they are read."""
    app.connect("builder-inited", write)
    app.connect("autodoc-process-docstring", keep_colons, priority=600)
    app.connect("autodoc-skip-member", only_ours)
    app.connect("autodoc-process-signature", constructor)
    return {"parallel_read_safe": True}
