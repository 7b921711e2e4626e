"""Dawnlist: every list ready by dawn."""

__version__ = "0.1.0"
