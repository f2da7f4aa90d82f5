"""The HTTP service over a run: events in, rankings out."""

from rankine.serving.app import create_app
from rankine.serving.server import serve
from rankine.serving.settings import Settings

__all__ = ["Settings", "create_app", "serve"]
