"""The outbox: emails are stored in the transaction of a change, and sent after its commit."""
