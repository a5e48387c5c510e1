"""Recovery: people get back into a locked account, or one whose second factors are all lost."""
