"""Demonstrations: the native episode store, and the loader that turns it into batches."""
