"""PostgreSQL for a server: no request waits long for a database that is frozen or gone."""
