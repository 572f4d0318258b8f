"""Figures of a trained model; matplotlib figures that change no global setting."""

from keras_ddr.visualization.manifold import plot_manifold
from keras_ddr.visualization.reconstruction import plot_reconstruction
from keras_ddr.visualization.style import save_figure
from keras_ddr.visualization.swap import plot_swap

__all__ = ["plot_manifold", "plot_reconstruction", "plot_swap", "save_figure"]
