"""Demonstrations by a person: keys in, episodes out."""
