"""What people look at: the campaign report and the page of a validation, each one file that opens offline."""
