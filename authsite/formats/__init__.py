"""The formats of dates and times in each language of the site (FORMAT_MODULE_PATH).

``static/times.js``, which converts times in the browser, uses the same formats.
"""
