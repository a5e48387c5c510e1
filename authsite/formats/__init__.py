"""Formats of dates and times, one set for each language of the site (FORMAT_MODULE_PATH).

``static/times.js`` writes dates in the same way.
"""
