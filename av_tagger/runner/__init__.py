"""Runs over many clips: plan, journal, engines. A bad clip costs only itself."""
