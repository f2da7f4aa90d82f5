"""From a recipe to a run folder: data, split, fits, comparison, report; and back from the folder to what is served."""

from rankine.runs.experiment import run_experiment
from rankine.runs.folder import Run, run
from rankine.runs.recipe import Recipe, load

__all__ = ["Recipe", "Run", "load", "run", "run_experiment"]
