"""One file per resource: the request's form, one call, the answer's form."""
