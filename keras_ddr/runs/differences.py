"""Settings in which runs differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_ddr.runs.folder import Run

__all__ = ["differences"]

_NOT_SETTINGS = {"module", "registered_name", "build_config", "name", "image_shape"}


def differences(runs: Mapping[str, Run]) -> dict[str, dict[str, str]]:
    """Settings in which runs differ, with their values.

    Args:
        runs: Dict from a name to a `Run`.

    Returns:
        Dict from a setting, such as "training.steps", to a dict from the name of a run
        to the value as text, "" where the run has no such setting.
    """
    found = {name: _settings(run) for name, run in runs.items()}
    names = dict.fromkeys(key for settings in found.values() for key in settings)
    values = {
        key: {name: settings.get(key, "") for name, settings in found.items()}
        for key in names
    }
    return {k: v for k, v in values.items() if len(set(v.values())) > 1}


def _settings(run: Run) -> dict[str, str]:
    model, config = run.config["model"], run.config
    objective = (model.get("compile_config") or {}).get("objective") or {}
    return {
        "model": model["class_name"],
        "preset": config["preset"],
        **_flat(model["config"], "model."),
        **_flat(objective.get("config", {}), "objective."),
        **_flat(config["training"], "training."),
        "weights": str(config["weights"]),
        "best step": str((run.best() or {}).get("step", "")),
        "backend": str(config["backend"]),
        "store": str(config["store"]["path"]),
    }


def _flat(values: Mapping[str, Any], prefix: str) -> dict[str, str]:
    """Nested dicts as one, with names joined by dots."""
    flat: dict[str, str] = {}
    for key, value in values.items():
        if key in _NOT_SETTINGS:
            continue
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = str(value)
    return flat
