"""Results for people and for other programs: the JSON schema, the writers, the page, the plots, the annotated video."""
