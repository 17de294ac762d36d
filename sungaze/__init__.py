"""Sungaze: one window for every solar site a person looks after."""

__version__ = "0.1.0"
