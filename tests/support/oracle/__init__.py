"""A plain second count of a bring-your-own territory, written from the counting rules alone.

It shares no code with the product: a test forbids importing it. It reads the same files that an agent reads and says
what every cell must be. Readability before speed; where a rule leaves doubt, a comment that starts with "Doubt:" says which
reading was taken and why.
"""

from tests.support.oracle.count import Oracle

__all__ = ["Oracle"]
