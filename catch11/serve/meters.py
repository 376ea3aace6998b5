"""What the gateway counts, for Prometheus. No tenant, name, key or measurement is a label."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 60.0)


class Meters:
    """The counters of one gateway."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "catch11_requests",
            "Requests by route and status.",
            ("route", "status"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            "catch11_request_seconds", "Time to the answer's first byte.", ("route",), buckets=_SECONDS,
            registry=self.registry,
        )  # fmt: skip
        self.refused = Counter("catch11_refused", "Refused requests by status.", ("status",), registry=self.registry)  # fmt: skip
        self.jobs = Gauge("catch11_jobs", "Jobs by state.", ("state",), registry=self.registry)
        self.files = Counter("catch11_files", "Uploaded files.", registry=self.registry)

    def text(self, jobs: dict[str, int]) -> bytes:
        """All of them as Prometheus reads them. jobs: how many there are in each state."""
        for state in ("open", "queued", "running", "done", "failed", "cancelled"):
            self.jobs.labels(state).set(jobs.get(state, 0))
        return generate_latest(self.registry)
