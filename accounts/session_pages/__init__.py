"""The page that lists and revokes sessions, and the page for reporting an unknown event."""
