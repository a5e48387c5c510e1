"""The SCIM server: directories, such as Okta, add, change and deactivate people here (RFC 7644)."""
