"""Imports people from other systems, each row once, and reports changed and refused rows."""
