"""Kinds of commands: a function each, which gives words and answer, or None if the scene has none."""
