"""The yardstick: the same libraries, used as their own documentation says."""
