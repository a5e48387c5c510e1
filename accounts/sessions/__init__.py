"""Sessions. Where someone is signed in; a dump of the database opens none of them."""
