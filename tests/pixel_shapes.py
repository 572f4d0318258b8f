"""MP4 files whose header asks for other pixels, or a turn."""

import struct

import numpy as np


def shaped(path, wide, high, turn=((1, 0), (0, 1))):
    """A copy of an MP4 file with other pixels, and the 2 x 2 part of its matrix."""
    data = bytearray(path.read_bytes())
    # The pictures come first in the file, so that their places stay.
    assert data.index(b"mdat") < data.index(b"moov")
    entry = data.rindex(b"mp4v") - 4
    (size,) = struct.unpack_from(">I", data, entry)
    box = struct.pack(">I4sII", 16, b"pasp", wide, high)
    data[entry + size : entry + size] = box
    for kind in (b"mp4v", b"stsd", b"stbl", b"minf", b"mdia", b"trak", b"moov"):
        at = data.rindex(kind) - 4
        struct.pack_into(">I", data, at, struct.unpack_from(">I", data, at)[0] + 16)
    (a, b), (c, d) = (np.array(turn) * 65536).tolist()
    numbers = (a, b, 0, c, d, 0, 0, 0, 0x40000000)
    struct.pack_into(">9i", data, data.index(b"tkhd") + 44, *numbers)
    shaped = path.with_name(f"shaped {path.name}")
    shaped.write_bytes(data)
    return shaped
