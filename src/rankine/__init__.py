"""A ranking engine: from raw events to served recommendations."""

__version__ = "0.1.0"
