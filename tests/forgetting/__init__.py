"""The tests of forgetting and exporting a person."""
