"""Codes. Secrets that go out by mail: kept as digests, good once, for a while, for one purpose."""
