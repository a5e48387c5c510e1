"""Imports people from other systems: each row once; what is changed or refused is reported."""
