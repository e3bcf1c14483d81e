"""Released weights of the methods, brought in as runs to start from."""
