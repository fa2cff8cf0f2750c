"""Many clips: what is to be done, who does it, what is already known; a bad clip costs itself only."""
