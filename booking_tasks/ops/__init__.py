"""The operator's tools: command line, demo, embedded servers."""
