"""Jobs that keep the search index level with the register."""
