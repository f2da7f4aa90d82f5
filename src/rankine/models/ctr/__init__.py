"""Models of clicks: how likely an item is taken when it is shown, from rows of fields of the visitor, the context and the item."""
