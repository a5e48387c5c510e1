"""The settings file, in which an operator describes apps, groups and more in TOML."""
