"""The version, readable without importing Keras."""

__all__ = ["__version__"]

__version__ = "0.1.0"
"""Version of the package."""
