"""Puts the connector together: runs, settings, command line, reports, sandbox.

run.run             one run, from tags to loaded destinations
settings            the settings of a run, checked
cli                 the command `smspartner`
"""
