"""JSON: one entity of the register."""

from portal.kit import limits

router = limits.router()
