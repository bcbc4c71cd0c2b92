"""The workbook: setting up a notebook, running the book, checking exercises, binding the pages."""
