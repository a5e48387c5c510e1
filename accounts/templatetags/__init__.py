"""Tags for templates. What they need beside what views give them."""
