"""Selection: temporal L1 difference to keep mask, by a threshold or by a token budget. Arrays in, arrays out, no network."""

from latcomp.selection.budget import select_budget
from latcomp.selection.complexity import adjusted, step_adjust
from latcomp.selection.quantiser import Quantiser
from latcomp.selection.threshold import Selection, SelectionCache, SelectionRule, select_group

__all__ = ["Quantiser", "Selection", "SelectionCache", "SelectionRule", "adjusted", "select_budget", "select_group", "step_adjust"]
