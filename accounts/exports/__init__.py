"""Exports: a person's data as one ZIP file, made in the background, which can be fetched once."""
