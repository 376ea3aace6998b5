"""One self-contained page of everything that Records say; nothing on it comes from a network."""

from catch11.report.page import Extras, report_page
from catch11.report.reading import load_records, load_warnings

__all__ = ["Extras", "load_records", "load_warnings", "report_page"]
