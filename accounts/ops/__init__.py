"""Operations. How a site gets its first administrator."""
