"""What is in a dataset and what looks wrong with it, by passes over its files; nothing is held whole."""

from rankine.data.describe.describe import describe
from rankine.data.describe.description import Description
from rankine.data.describe.render import render

__all__ = ["Description", "describe", "render"]
