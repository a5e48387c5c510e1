"""Recovery. Getting back into a locked account, or one whose second factors are all lost."""
