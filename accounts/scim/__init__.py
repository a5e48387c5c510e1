"""The SCIM server, by which directories, such as Okta, manage people on this site (RFC 7644)."""
