"""Pages that list and end sessions, and the page for an event that the owner did not cause."""
