"""Rate limits. A budget refills with time, so that a rate limit locks nobody out permanently."""
