"""The operator's brand: its settings, its colours, and the files that show it."""
