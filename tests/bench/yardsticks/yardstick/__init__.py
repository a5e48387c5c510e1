"""The yardstick: the same libraries by their own documentation, and nothing beside them."""
