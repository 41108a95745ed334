"""The engine that runs in the portal's own processes: Tantivy, in a folder of the data directory.

Nothing outside this package knows Tantivy. `schema` is what the index holds, `folder` where it lives and who may
write it, `asking` how a step becomes a query, and `engine` what the portal calls.
"""

from search.embedded.engine import EmbeddedEngine

__all__ = ["EmbeddedEngine"]
