"""Webhooks, which send events to other systems at least once, in order for each person."""
