"""States: clusters of z̃, how persons use them, and what differs between groups."""

from keras_ddr.states.bouts import Bout, bout_intervals
from keras_ddr.states.files import write_states
from keras_ddr.states.finding import States, Trial, find_states
from keras_ddr.states.groups import GroupTest, compare_groups
from keras_ddr.states.markov import HiddenMarkov
from keras_ddr.states.report import StateReport, describe_states

__all__ = [
    "Bout",
    "GroupTest",
    "HiddenMarkov",
    "StateReport",
    "States",
    "Trial",
    "bout_intervals",
    "compare_groups",
    "describe_states",
    "find_states",
    "write_states",
]
