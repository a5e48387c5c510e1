"""``make bench``: this site beside its yardsticks, measured in turn, as ratios."""
