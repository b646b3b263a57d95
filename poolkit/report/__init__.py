"""The report: a review folder read, executed as a notebook and exported as one HTML file."""
