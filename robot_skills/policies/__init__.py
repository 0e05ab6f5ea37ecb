"""Visuomotor policies: one protocol, one file or folder a policy, found by name through entry points."""
