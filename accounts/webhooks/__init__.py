"""Webhooks: other systems hear of events, at least once, and in the order of each person."""
