"""Addresses. Added, confirmed, made primary, removed; the old one is told and can undo it."""
