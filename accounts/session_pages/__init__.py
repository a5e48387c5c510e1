"""The page that lists and revokes sessions, and the page about an event that looks suspicious."""
