"""The contract of the tables, and everything derived from it. Importing this package imports nothing heavy.

- `arrow`: the Arrow schemas, and empty tables that have them
- `contract`: columns, types, nullability and allowed values: the one place that states them
- `ddl`: SQL that creates the tables, with comments, key and index
- `describe`: the contract as a Markdown table or as JSON
- `expectations`: the Great Expectations suite, as the JSON that library reads
- `frames`: the typed pandas frame of `statuses`
- `rules`: the row rules, each with its native check and its expectation
"""
