"""Checks every part of the station and names the command that mends it."""
