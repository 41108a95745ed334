"""A city's day in fifteen minutes: mixed traffic on the production profile while its parts are taken away."""
