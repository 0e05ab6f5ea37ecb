"""Robot primitives learned from demonstrations, behind one skill API."""

__version__ = "0.1.0"
