"""Rate limits. Every limit allows new attempts after a while, so nobody is locked out for good."""
