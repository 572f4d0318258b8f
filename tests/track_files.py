"""Files of tracks, written field by field as the programs do, from the same points."""

import pickle

import h5py
import numpy as np

SCORER = "DLC_resnet50_miceNov1shuffle1_50000"
COORDS = ("x", "y", "likelihood")


def _columns(parts, animals):
    if animals == [""]:
        return [(SCORER, part, c) for part in parts for c in COORDS]
    return [(SCORER, a, part, c) for a in animals for part in parts for c in COORDS]


def _levels(animals):
    several = [] if animals == [""] else ["individuals"]
    return ["scorer", *several, "bodyparts", "coords"]


def dlc_csv(path, points, parts, animals=("",)):
    """Points (N, animals, parts, 3) of x, y, likelihood, as DeepLabCut's .csv."""
    columns = _columns(parts, list(animals))
    lines = [
        ",".join([level, *names])
        for level, names in zip(
            _levels(list(animals)), zip(*columns, strict=True), strict=True
        )
    ]
    for number, row in enumerate(points.reshape(len(points), -1)):
        cells = ["" if np.isnan(v) else repr(float(v)) for v in row]
        lines.append(",".join([str(number), *cells]))
    path.write_text("\n".join(lines) + "\n")
    return path


def dlc_table(path, points, parts, animals=("",)):
    """The same as pandas' format "table", which DeepLabCut uses."""
    columns = _columns(parts, list(animals))
    values = points.reshape(len(points), -1)
    kind = np.dtype([("index", "<i8"), ("values_block_0", "<f8", values.shape[1:])])
    table = np.zeros(len(values), kind)
    table["index"], table["values_block_0"] = np.arange(len(values)), values
    with h5py.File(path, "w") as file:
        group = file.create_group("df_with_missing")
        group.attrs["pandas_type"] = np.bytes_("frame_table")
        group.attrs["non_index_axes"] = np.bytes_(pickle.dumps([(1, columns)], 0))
        data = group.create_dataset("table", data=table, chunks=True, maxshape=(None,))
        data.attrs["values_block_0_kind"] = np.bytes_(pickle.dumps(columns, 0))
    return path


def dlc_fixed(path, points, parts, animals=("",)):
    """The same as pandas' format "fixed"; the names of a level are sorted there."""
    columns = _columns(parts, list(animals))
    with h5py.File(path, "w") as file:
        group = file.create_group("df_with_missing")
        levels = list(zip(*columns, strict=True))
        group.attrs["pandas_type"] = np.bytes_("frame")
        group.attrs["nblocks"] = 1
        group.attrs["block0_items_nlevels"] = len(levels)
        for k, names in enumerate(levels):
            known = sorted(set(names))
            group[f"block0_items_level{k}"] = [name.encode() for name in known]
            labels = np.array([known.index(name) for name in names], np.int8)
            group[f"block0_items_label{k}"] = labels
        group["block0_values"] = points.reshape(len(points), -1)
        group["axis1"] = np.arange(len(points))
    return path


SLEAP_ORDERS = {
    "matlab": ("track", "xy", "node", "frame"),
    "standard": ("frame", "track", "node", "xy"),
    "python": ("frame", "node", "xy", "track"),
}


def sleap_h5(path, points, parts, animals=("",), order="matlab", dims=False):
    """The same as the analysis file of SLEAP, in one of its orders of axes."""
    axes = ("frame", "track", "node", "xy")
    order = SLEAP_ORDERS[order]
    of_scores = [axis for axis in order if axis != "xy"]
    places = points[..., :2].transpose([axes.index(axis) for axis in order])
    scores = points[..., 2].transpose([axes.index(axis) for axis in of_scores])
    with h5py.File(path, "w") as file:
        data = file.create_dataset("tracks", data=places, compression="gzip")
        if dims:
            data.attrs["dims"] = str(list(order)).replace("'", '"')
        file["point_scores"] = scores
        file["track_occupancy"] = np.ones(points.shape[:2], np.uint8)
        file["instance_scores"] = np.ones(points.shape[1::-1])
        file["tracking_scores"] = np.ones(points.shape[1::-1])
        file["node_names"] = [part.encode() for part in parts]
        names = [name.encode() for name in animals if name]
        file["track_names"] = np.array(names, "S20")
        file["edge_names"] = [[parts[0].encode(), parts[1].encode()]]
        file["edge_inds"] = [[0, 1]]
        file["video_path"], file["provenance"] = "/far/away/mice.mp4", "{}"
    return path


def sleap_csv(path, points, parts, animals=("",)):
    """The same as the analysis table of SLEAP: a row a frame and animal."""
    lines = ["track,frame_idx,instance.score"]
    lines[0] += "".join(f",{part}.x,{part}.y,{part}.score" for part in parts)
    for number, frame in enumerate(points):
        for name, row in zip(animals, frame, strict=True):
            cells = ["" if np.isnan(v) else repr(float(v)) for v in row.ravel()]
            lines.append(",".join([name, str(number), "0.9", *cells]))
    path.write_text("\n".join(lines) + "\n")
    return path
