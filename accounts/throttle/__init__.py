"""Throttle. Budgets spent before the work, exact across processes; nobody stays locked out."""
