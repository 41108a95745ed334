"""Associations, rating agencies and the entities themselves: what they say about entities, and the right of reply."""
