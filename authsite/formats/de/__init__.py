"""The package with the formats of dates and times in German."""
