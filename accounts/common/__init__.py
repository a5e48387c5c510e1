"""Code that all other packages may use. It has no models or views, and imports no other package."""
