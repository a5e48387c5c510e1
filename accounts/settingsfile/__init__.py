"""The settings file: apps, groups and the like, which an operator writes down in TOML."""
