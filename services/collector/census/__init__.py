"""The census source (rules.md 6): nominative CSV exports, counted where they lie; only counts, line numbers and reasons come out.

`folder.discover` lists the files of dated folders, `folder.read_newest` reads those that stand for their school year,
`Census.report` is what leaves, `accounts.small_profiles` what the other sources must know, `folder.put_away` what happens then.
"""
