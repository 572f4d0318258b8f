"""Shows the pictures that an example writes, below the code that wrote them.

Examples write into `out/NAME`, as for anyone who runs them; what is deeper down, such
as the pictures in a run, is not shown. All have one scale, and a click shows a picture
alone. Name this module in `image_scrapers`.
"""

import pathlib
import shutil
import time

from PIL import Image

_INCH = 150  # pixels of a page, so that text of 7 points is as large as that around it

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
    shown = []
    for path, copy in zip(new, block_vars["image_path_iterator"], strict=False):
        shutil.copyfile(path, copy)
        place = pathlib.Path(copy).relative_to(gallery_conf["src_dir"]).as_posix()
        with Image.open(copy) as image:
            width = round(image.width / image.info["dpi"][0] * _INCH)
        shown.append(
            f".. image:: /{place}\n"
            f"   :alt: {path.name}, from the code above\n"
            f"   :class: sphx-glr-single-img\n"
            f"   :width: {width}px\n"
        )
    return "\n".join(shown)
