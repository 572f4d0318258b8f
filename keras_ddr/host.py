"""Arrays on the host, of whatever holds them elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def as_array(values: Any) -> NDArray[Any]:
    """NumPy array of an array or a tensor of any backend; bfloat16 becomes float32.

    An array, also one in a file, is not copied.
    """
    if hasattr(values, "detach"):  # of PyTorch, which NumPy takes from the host only
        values = values.detach().cpu()
        if "bfloat16" in str(values.dtype):
            values = values.float()
    values = np.asarray(values)
    return values.astype(np.float32) if values.dtype.name == "bfloat16" else values
