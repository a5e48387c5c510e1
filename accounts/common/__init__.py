"""Code that every other package uses. It has no models or views and imports no other package."""
