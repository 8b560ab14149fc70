"""Selection: temporal L1 difference to keep mask, by a threshold or by a token budget; or tokens kept by what they
save. Arrays in, arrays out, no network.
"""

from latcomp.selection.budget import select_budget
from latcomp.selection.complexity import step_adjust
from latcomp.selection.hints import LookaheadHints
from latcomp.selection.lookahead import Lookahead, look_ahead
from latcomp.selection.recipe import PRIOR_UNITS, SegmentSelector, SelectionRecipe
from latcomp.selection.threshold import KeptTokens, Selection, SelectionCache, SelectionRule, select_group
from latcomp.selection.trellis import KeepPlan, plan_tokens

__all__ = [
    "PRIOR_UNITS",
    "KeepPlan",
    "KeptTokens",
    "Lookahead",
    "LookaheadHints",
    "SegmentSelector",
    "Selection",
    "SelectionCache",
    "SelectionRecipe",
    "SelectionRule",
    "look_ahead",
    "plan_tokens",
    "select_budget",
    "select_group",
    "step_adjust",
]
