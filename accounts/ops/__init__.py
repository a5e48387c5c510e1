"""Operations: the admin's users and groups, health checks, API documentation and the owner link."""
