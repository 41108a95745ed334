"""JSON: searching, suggesting and checking entities."""

from portal.kit import limits

router = limits.router()
