"""Operations: users and groups in the admin, health checks, API documentation, owner link."""
