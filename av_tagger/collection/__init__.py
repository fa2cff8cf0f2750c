"""Many results together: an index over runs and live journals, queries, and similar sounds."""
