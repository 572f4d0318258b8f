"""Shows the pictures that an example writes, below the code that wrote them.

Examples write into `out/NAME`, as for anyone who runs them; what is deeper down, such
as the pictures in a run, is not shown. Name this module in `image_scrapers`.
"""

import pathlib
import shutil
import time

from sphinx_gallery.scrapers import figure_rst

_began = time.time_ns()
_shown = {}


def _get_sg_image_scraper():
    return _scrape


def _scrape(block, block_vars, gallery_conf):
    example = pathlib.Path(block_vars["src_file"])
    folder = example.parent / "out" / example.stem.removeprefix("plot_")
    written = {path: path.stat().st_mtime_ns for path in folder.glob("*.png")}
    new = [
        path
        for path, at in sorted(written.items(), key=lambda item: item[1])
        if at > max(_began, _shown.get(path, 0))
    ]
    _shown.update(written)
    copies = []
    for path, copy in zip(new, block_vars["image_path_iterator"], strict=False):
        shutil.copyfile(path, copy)
        copies.append(copy)
    names = " and ".join(path.name for path in new)
    return figure_rst(copies, gallery_conf["src_dir"], f"{names}, from the code above")
