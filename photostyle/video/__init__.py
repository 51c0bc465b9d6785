"""Videos: photo mode through affine fields that change slowly, artistic mode along the optical flow."""

from __future__ import annotations

from photostyle.video.options import VideoOptions, video_help

__all__ = ["VideoOptions", "video_help"]
