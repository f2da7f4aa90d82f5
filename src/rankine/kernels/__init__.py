"""Compiled loops over plain arrays: solving, counting, neighbours and ranks, on all cores."""
