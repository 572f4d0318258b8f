"""The order of the examples: that of a first reading; others by name."""

_FIRST = (
    "plot_puppets.py",
    "plot_sprites.py",
    "plot_moving_digits.py",
    "plot_own_videos.py",
)


def reading_order(name):
    """Sort key of an example, by the name of its file."""
    return (_FIRST.index(name) if name in _FIRST else len(_FIRST), name)
