"""Whether the system slows down with age: a long past, the same present at the end of each, and everything asked of both."""
