"""Public pages of the register: an entity's file."""

from portal.kit import limits

router = limits.router(include_in_schema=False)
