"""Emailed codes and links. Each is stored as a digest and can be used once, for one purpose."""
