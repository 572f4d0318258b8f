"""A trained model and the store it is shown with, as most commands take them."""

__all__ = ["open_both"]


def open_both(run, store, split=None):
    """Open a run and a store that fit each other.

    Args:
        run: Run folder or .keras file.
        store: Frame store.
        split: "train", "val", "test", "all", or None for the first of test, val and
            train that holds a sequence.

    Returns:
        Model, `FrameStore` and the split.
    """
    from keras_ddr.data import FrameStore
    from keras_ddr.runs import check_fits, load_model

    # The store first: it opens at once.
    store = FrameStore.open(store)
    model = load_model(run)
    check_fits(model, store)
    if split is None:
        split = next(
            (
                name
                for name in ("test", "val", "train")
                if store.select(name, model.frames_per_set)
            ),
            "all",
        )
    return model, store, split
