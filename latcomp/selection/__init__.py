"""Selection: temporal L1 difference to keep mask, by a threshold or by a token budget. Arrays in, arrays out, no
network.
"""

from latcomp.selection.budget import select_budget
from latcomp.selection.complexity import adjusted, step_adjust
from latcomp.selection.lookahead import Lookahead, look_ahead
from latcomp.selection.quantiser import Quantiser
from latcomp.selection.threshold import Selection, SelectionCache, SelectionRule, Wishes, select_group

__all__ = [
    "Lookahead",
    "Quantiser",
    "Selection",
    "SelectionCache",
    "SelectionRule",
    "Wishes",
    "adjusted",
    "look_ahead",
    "select_budget",
    "select_group",
    "step_adjust",
]
