"""Finding the items that are worth ranking."""
