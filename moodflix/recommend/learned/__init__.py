"""Learns from logged choices which film is chosen in which context."""
