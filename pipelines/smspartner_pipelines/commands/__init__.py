"""The commands of `smspartner`: what is typed, and which function each calls. One file each."""
