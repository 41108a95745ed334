"""The public search page."""

from portal.kit import limits

router = limits.router(include_in_schema=False)
