"""Arguments of `prepare` from single options, whose names are all different."""

from keras_ddr.datasets import Cropping, Detection, Lengths, Splits, Work

CLASSES = {
    "cropping": Cropping,
    "lengths": Lengths,
    "detection": Detection,
    "splits": Splits,
    "work": Work,
}


def flat(**options):
    """Sort values of options into the classes that hold them."""
    arguments = {}
    for argument, cls in CLASSES.items():
        names = set(options) & set(cls.__dataclass_fields__)
        if names:
            arguments[argument] = cls(**{name: options.pop(name) for name in names})
    return {**arguments, **options}
