"""When and where kernels run, and what memory that takes."""
