"""Exports: the data of a person as a ZIP file, made in the background and downloaded once."""
