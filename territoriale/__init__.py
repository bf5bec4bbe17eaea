"""The operator's command line, which composes what each service offers."""
