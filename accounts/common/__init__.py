"""Common code for every package. It has no models or views and imports no other package."""
