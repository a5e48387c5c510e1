"""Recovery: opens locked accounts, and replaces second factors that are all lost."""
