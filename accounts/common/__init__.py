"""The kernel. What every room may use: no models, no views, no knowledge of any room."""
