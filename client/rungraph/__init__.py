"""Records the runs of Python scripts in Rungraph.

from rungraph import track

main = track(main)      # the outermost call is the run, inner ones are its actions
"""

from .errors import Aborted
from .steps import Step
from .tracking import current_step, flush, next_attempt, track

__all__ = ["Aborted", "Step", "current_step", "flush", "next_attempt", "track"]
