"""The screens that the page must fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

Screen: TypeAlias = Mapping[str, Any]
"""Playwright's options for a browser on such a device."""

PHONE: Screen = {
    "viewport": {"width": 360, "height": 740},
    "device_scale_factor": 2,
    "has_touch": True,
    "is_mobile": True,
}
KIOSK: Screen = {"viewport": {"width": 1920, "height": 1080}, "has_touch": True}
DESKTOP: Screen = {"viewport": {"width": 1280, "height": 800}}
