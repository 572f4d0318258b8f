"""Files that tools for annotation and analysis open: intervals and codes."""

from keras_ddr.exports.intervals import Interval, Timeline
from keras_ddr.exports.writing import write_intervals

__all__ = ["Interval", "Timeline", "write_intervals"]
