"""``make bench``: compare the speed of this site with yardsticks, as ratios."""
