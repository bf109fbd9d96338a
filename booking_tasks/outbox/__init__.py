"""Events and job rows, appended in the transaction of the change, and the workflow between them."""
