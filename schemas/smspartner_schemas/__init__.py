"""The contract of the tables, and everything derived from it. Importing this package imports nothing heavy.

- `arrow`: the Arrow schemas, and empty tables that have them
- `contract`: columns, types, nullability and allowed values: the one place that states them
- `describe`: the contract as a Markdown table or as JSON
- `frames`: the typed pandas frame of `statuses`
- `rules`: the row rules, each with its check on Arrow and its expectation, and the Great Expectations suite
- `sql`: SQL that creates the tables, with comments, key and index, and the view `campaigns`
"""
