"""Sign-up. A pending row until the address is confirmed; taken and free addresses look the same."""
