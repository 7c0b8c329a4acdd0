"""Speed as ratios within one run: ours against the same work written by hand."""
