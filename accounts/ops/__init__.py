"""Operations: health checks, metrics, the doctor, API description, owner link, public pages."""
