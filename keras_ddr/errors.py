"""Errors that a user can cause or has to know of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from keras_ddr.typing import StrPath

__all__ = ["InputError", "LossNotFinite"]


class InputError(ValueError):
    """Bad input: a file, an option or an argument that cannot be used.

    One line names it, says what was wrong and what to do.
    """


class LossNotFinite(InputError):
    """Training was stopped, since a part of the loss became NaN or infinite.

    Attributes:
        epoch: Epoch of `fit` in which that was, counted from 1.
        step: First step of that epoch with such a loss, counted from 1; 0 where it was
            that of the validation.
        values: Dict of the parts that were not finite, by name, and what they were.
    """

    def __init__(self, epoch: int, step: int, values: dict[str, float]) -> None:
        self.epoch, self.step, self.values = epoch, step, values
        where = f"step {step} of epoch" if step else "the validation of epoch"
        advice = "global_clipnorm=1.0 in the optimizer, kl_warmup"
        super().__init__(self._text(f"at {where} {epoch}", advice))

    def in_run(self, path: StrPath, step: int, kept: str) -> Self:
        """The same error, with a message for a run and for what is `kept` of it."""
        where = "step" if self.step else "the validation of step"
        where = f"at {where} {step} of {path}"
        self.args = (f"{self._text(where, '--clipnorm 1, --kl-warmup')}; {kept}",)
        return self

    def _text(self, where: str, advice: str) -> str:
        found = ", ".join(f"{name} is {value}" for name, value in self.values.items())
        said = f"training was stopped {where}: the loss is no longer finite ({found})"
        remedy = f"try a smaller learning rate, {advice}"
        return f"{said}; {remedy}, or float32 where precision was halved"


def reason_of(error: BaseException) -> str:
    """At most 200 characters of another package's message, or its error's name."""
    return " ".join(str(error).split())[:200] or type(error).__name__
