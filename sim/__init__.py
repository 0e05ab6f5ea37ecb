"""Simulated worlds: importing this registers their Gymnasium environments."""
