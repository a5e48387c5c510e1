"""The terms of the site: people accept each version before their next sign-in is complete."""
