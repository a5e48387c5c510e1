"""Security history: records what happens to an account, and notifies the owner by email."""
