"""The engine over a Meilisearch server, for a city that has more than one machine.

Nothing outside this package knows Meilisearch. `schema` is what an index holds and how it is set up, `server` how it
is talked to, `asking` how a step becomes filters, `searching` one search, and `engine` what the portal calls.
"""

from search.meili.engine import MeiliEngine

__all__ = ["MeiliEngine"]
