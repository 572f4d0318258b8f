"""Figures and films of stores and trained models, which change no global setting."""

from keras_ddr.visualization.comparison import plot_comparison
from keras_ddr.visualization.dynamics import plot_dynamics
from keras_ddr.visualization.events import plot_events
from keras_ddr.visualization.latent import plot_latent
from keras_ddr.visualization.manifold import plot_manifold
from keras_ddr.visualization.prediction import plot_prediction
from keras_ddr.visualization.reconstruction import plot_reconstruction
from keras_ddr.visualization.render import render_reconstruction, render_swap
from keras_ddr.visualization.render_layout import Film
from keras_ddr.visualization.render_walk import render_walk
from keras_ddr.visualization.samples import plot_samples
from keras_ddr.visualization.states import plot_state_use, plot_states
from keras_ddr.visualization.store import plot_store
from keras_ddr.visualization.style import save_figure
from keras_ddr.visualization.swap import plot_swap

__all__ = [
    "plot_comparison",
    "Film",
    "plot_dynamics",
    "plot_events",
    "plot_latent",
    "plot_manifold",
    "plot_prediction",
    "plot_reconstruction",
    "plot_samples",
    "plot_state_use",
    "plot_states",
    "plot_store",
    "plot_swap",
    "render_reconstruction",
    "render_swap",
    "render_walk",
    "save_figure",
]
