"""Rate limits. Budgets are spent before the work, and refill, so that no lockout is permanent."""
