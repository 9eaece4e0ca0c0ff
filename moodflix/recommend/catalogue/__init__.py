"""Ranks the films that ship with the station by their content."""
