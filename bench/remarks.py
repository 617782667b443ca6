"""What stands in the way of a target that is missed, and what was tried: by workload and mode, for the page that shows it."""

REMARKS = {}
