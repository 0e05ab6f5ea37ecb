"""Practice: a small bounded correction of a frozen policy, learned off-policy from success alone."""
