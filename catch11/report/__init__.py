"""One self-contained page of everything that Records say; nothing on it comes from a network."""

from catch11.report.page import Extras, report_page
from catch11.report.reading import load_records

__all__ = ["Extras", "load_records", "report_page"]
