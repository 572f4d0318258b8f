"""Data sets: each module turns one kind of source into a frame store.

`prepare` of `videos`, `images`, `affwild` and `affwild2` takes its options as
`Cropping`, `Lengths`, `Detection`, `Splits` and `Work`; a new option is a field of one
of them, which the `ddr` command then has as well.
"""

from keras_ddr.datasets.reading import Cropping, Detection, Lengths
from keras_ddr.datasets.splits import Splits
from keras_ddr.datasets.work import Work

__all__ = ["Cropping", "Detection", "Lengths", "Splits", "Work"]
