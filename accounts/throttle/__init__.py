"""Rate limits: budgets that are spent before the work and that lock nobody out for good."""
