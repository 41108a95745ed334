"""Tip-offs: anyone can report safely, nobody is left without an answer."""
