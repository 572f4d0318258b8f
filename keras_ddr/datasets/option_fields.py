"""Fields of option classes: default, range and help of every option, written once.

An instance checks its fields when it is made, and `ddr preprocess` makes its options of
the same fields. An `Offer` says what a data set takes of them.
"""

from __future__ import annotations

import dataclasses
import inspect
import os
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from keras_ddr.arguments import check_choice, check_number, check_whole, is_number
from keras_ddr.errors import InputError


@dataclasses.dataclass(frozen=True)
class OptionField:
    """Range and help of an option."""

    help: str
    kind: type = str
    choices: tuple[Any, ...] = ()
    least: float | None = None
    most: float | None = None
    open: str = ""  # ends of the range that are not allowed: "", "(", ")" or "()"
    unset: str = ""  # meaning of the default None
    metavar: str | None = None
    flag: str = ""  # name in the command where it is not that of the field
    crops: tuple[str, ...] = ()  # with which it changes something; (): with any
    # Checks and returns a value (name, value), instead of the above.
    check: Callable[[str, Any], Any] | None = None

    def checked(self, name: str, value: Any) -> Any:
        """The value in its plain type; a value that is not allowed is refused."""
        if value is None and self.unset:
            return None
        if self.check is not None:
            return self.check(name, value)
        if self.choices:
            check_choice(self.choices, **{name: value})
        elif self.kind is int:
            most = None if self.most is None else int(self.most)
            check_whole(int(self.least or 0), most, **{name: value})
        elif self.kind is float:
            self._check_number(name, value)
        if isinstance(value, os.PathLike):
            return os.fspath(value)
        return value if self.kind is str else self.kind(value)

    def _check_number(self, name: str, value: Any) -> None:
        least, most = self.least or 0, self.most
        if most is None:
            check_number(least, above="(" in self.open, **{name: value})
            return
        ends = {least} if self.open == "(" else {least, most} if self.open else set()
        if not is_number(value) or not least <= value <= most or value in ends:
            raise InputError(
                f"{name}={value!r}; it must be between {least:g} and {most:g}"
            )

    @property
    def text(self) -> str:
        """The help and what is allowed, for the reference."""
        allowed = ", ".join(map(str, self.choices))
        if self.most is not None:
            allowed = f"{self.least} to {self.most}"
        return f"{self.help} Allowed: {allowed}." if allowed else self.help


def option(default: Any, help: str, **about: Any) -> Any:
    """A field of a class of options: default, help, and attributes of `OptionField`."""
    metadata = {"option": OptionField(help, **about)}
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class Options:
    """Base of the classes of options; their fields are made by `option`."""

    def __init_subclass__(cls) -> None:
        # The dataclass, made later, takes the field away.
        own = {n: f for n, f in vars(cls).items() if isinstance(f, dataclasses.Field)}
        texts = [f"    {n}: {f.metadata['option'].text}" for n, f in own.items()]
        about = inspect.cleandoc(cls.__doc__ or "")
        cls.__doc__ = "\n".join([about, "", "Attributes:", *texts])

    def __post_init__(self) -> None:
        for name, about in self.option_fields().items():
            value = getattr(self, name)
            if not self.is_default(name):
                object.__setattr__(self, name, about.checked(name, value))

    @classmethod
    def option_fields(cls) -> dict[str, OptionField]:
        """The fields that are options, by their names."""
        return {
            field.name: field.metadata["option"]
            for field in dataclasses.fields(cls)
            if "option" in field.metadata
        }

    def is_default(self, name: str) -> bool:
        """Whether a field has its default."""
        default, value = getattr(type(self), name), getattr(self, name)
        return value is default or (type(value) is type(default) and value == default)


_OptionsT = TypeVar("_OptionsT", bound=Options)


@dataclasses.dataclass(frozen=True)
class Offer:
    """A data set: fields that it has no use for, defaults of its own, and its store.

    Fields of crops that it has not are of no use either.
    """

    dataset: str  # in messages
    unused: tuple[str, ...] = ()
    crops: tuple[str, ...] = ("face", "center", "none")
    defaults: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    key: str = ""  # the name in the store
    what: str = "source"  # a source in messages
    licence: str = ""
    ordered: bool = True  # in time

    def takes(self, name: str, about: OptionField) -> bool:
        """Whether a field changes anything here."""
        fits = not about.crops or bool({*about.crops} & {*self.crops})
        return fits and name not in self.unused

    def settle(self, options: _OptionsT) -> _OptionsT:
        """Fill in the defaults of the data set; refuse fields that change nothing."""
        if not isinstance(options, Options):
            raise InputError(
                f"{options!r} is given for options; make them with a class of "
                "keras_ddr.datasets, such as Splits((0.8, 0.1, 0.1))"
            )
        fields = options.option_fields()
        given = [
            name
            for name, about in fields.items()
            if not (self.takes(name, about) or options.is_default(name))
        ]
        if given:
            raise InputError(
                f"{', '.join(given)}: changes nothing with {self.dataset}; leave it out"
            )
        own = {n: v for n, v in self.defaults.items() if n in fields}
        return dataclasses.replace(
            options, **{n: v for n, v in own.items() if options.is_default(n)}
        )

    def noted(self, *options: Options) -> dict[str, Any]:
        """The settings as plain values, as a store keeps them."""
        return {
            name: getattr(each, name)
            for each in options
            for name, about in each.option_fields().items()
            if self.takes(name, about)
        }
