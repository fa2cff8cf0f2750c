"""Reports: results as files, HTML pages and figures. Plain data in; nothing here runs a model."""
