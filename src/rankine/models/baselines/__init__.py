"""Counting models that every comparison contains."""
