"""Mailed codes and links: stored as digests, valid once, for a limited time and one purpose."""
