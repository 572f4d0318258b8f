"""Configuration of a compiled model, as it is written into files."""

from __future__ import annotations

from typing import Any


def without_backend(part: Any) -> Any:
    """A configuration whose optimizers are Keras's, not PyTorch's own classes."""
    if isinstance(part, list):
        return [without_backend(item) for item in part]
    if not isinstance(part, dict):
        return part
    part = {name: without_backend(item) for name, item in part.items()}
    if str(part.get("module")).startswith("keras.src.backend.torch.optimizers"):
        part.update(module="keras.optimizers", registered_name=None)
    return part
