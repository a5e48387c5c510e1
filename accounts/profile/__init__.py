"""Profile. A person's own pages."""
