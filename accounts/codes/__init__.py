"""Emailed codes and links. Each is stored as a digest and works once, for one purpose."""
