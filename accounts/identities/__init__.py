"""Identities. Who people are at other sites, by issuer and subject. Nothing that opens those."""
