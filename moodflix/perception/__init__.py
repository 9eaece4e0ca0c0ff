"""Reads mood and tone from words, faces and voices."""
