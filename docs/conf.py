"""How the site is built: `sphinx-build -W -b html docs build/site`."""

import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
_HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(_HERE / "_ext"))

import quick  # noqa: E402

from keras_ddr.version import __version__  # noqa: E402

project = "keras_ddr"
author = "keras_ddr contributors"
copyright = author
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_click",
    "sphinx_codeautolink",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
    "commands",
    "house",
    "mathml",
    "messages",
    "names",
    "reference",
    "shell",
    "study_figures",
    "tables",
]
exclude_patterns = ["_build", "**/README.md"]
nitpicky = True
nitpick_ignore_regex = [
    # Keras and NumPy have sites of their own, which a build without a network cannot
    # ask for their names.
    (r"py:.*", r"(keras|numpy|np|matplotlib|sklearn|pathlib|collections)\..*|NDArray"),
]

# --- pages ------------------------------------------------------------------------
html_math_renderer = "mathml"
myst_enable_extensions = ["attrs_inline", "dollarmath"]
myst_heading_anchors = 4

# --- docstrings -------------------------------------------------------------------
default_role = "code"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
autodoc_typehints = "none"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
napoleon_custom_sections = [
    ("Call arguments", "params_style"),
    ("Call returns", "returns_style"),
]

# --- examples ---------------------------------------------------------------------
# All examples take ten minutes; QUICK_EXAMPLES=1 checks that they run.
_EXAMPLES = _HERE.parent / "examples"
if os.environ.get("QUICK_EXAMPLES"):
    _EXAMPLES = quick.shortened(_EXAMPLES, _HERE.parent / "build" / "examples")
sphinx_gallery_conf = {
    "examples_dirs": os.path.relpath(_EXAMPLES, _HERE),
    "gallery_dirs": "gallery",
    "filename_pattern": r"[\\/]plot_",
    "ignore_pattern": r"^(?!plot_)",
    "within_subsection_order": "order.reading_order",
    "image_scrapers": ("pictures",),
    "abort_on_example_error": True,
    "capture_repr": (),  # what is printed, and no paths and objects beside it
    "reference_url": {"keras_ddr": None},
    "show_memory": False,
    "show_signature": False,
    "write_computation_times": False,
    "min_reported_time": 1,
    "remove_config_comments": True,
    "thumbnail_size": (600, 360),
}
suppress_warnings = [
    # sphinx-gallery keeps functions in the settings above.
    "config.cache",
    # Doctests whose flags Sphinx takes out stay without links.
    "codeautolink.match_block",
]

# --- names in code ---------------------------------------------------------------
# Each block continues those above it.
codeautolink_concat_default = True

# --- looks ------------------------------------------------------------------------
html_theme = "furo"
html_title = f"keras_ddr {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
smartquotes_action = "qe"  # options keep their two dashes
pygments_style = "friendly"
pygments_dark_style = "monokai"
