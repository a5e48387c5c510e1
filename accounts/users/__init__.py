"""Users. Who a person is. The database keeps names and addresses unique, in canonical form."""
