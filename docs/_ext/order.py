"""The order of the examples: that of a first reading; others by name."""

_FIRST = (
    "plot_puppets.py",
    "plot_sprites.py",
    "plot_moving_digits.py",
    "plot_own_videos.py",
)


def reading_order(folder):
    """Sort key of the files in a folder of examples."""

    def key(name):
        return (_FIRST.index(name) if name in _FIRST else len(_FIRST), name)

    return key
