"""What the service counts, in the text format of Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = CONTENT_TYPE_LATEST
SECONDS = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    10.0,
)  # upper ends of the latency histogram


class Metrics:
    """The counters of one service, in a registry of their own."""

    def __init__(self, live_visitors: Callable[[], int]) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "rankine_requests", "Requests by route and status.", ("route", "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "rankine_request_seconds",
            "Time from request to answer.",
            ("route",),
            buckets=SECONDS,
            registry=self._registry,
        )
        self._events = Counter(
            "rankine_events",
            "Events received: accepted, rejected or sent before.",
            ("outcome",),
            registry=self._registry,
        )
        self._answers = Counter(
            "rankine_answers", "Rankings by what their first place rests on.", ("source",), registry=self._registry
        )
        live = Gauge("rankine_live_visitors", "Visitors whose recent events are in memory.", registry=self._registry)
        live.set_function(live_visitors)
        for outcome in ("accepted", "rejected", "duplicate"):
            self._events.labels(outcome)  # a counter that is still zero is shown as zero

    def request(self, route: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def events(self, accepted: int, rejected: int, duplicates: int) -> None:
        """Count the events of one request."""
        self._events.labels("accepted").inc(accepted)
        self._events.labels("rejected").inc(rejected)
        self._events.labels("duplicate").inc(duplicates)

    def answer(self, source: str) -> None:
        """Count one ranking."""
        self._answers.labels(source).inc()

    def text(self) -> bytes:
        """Everything counted so far."""
        return generate_latest(self._registry)
