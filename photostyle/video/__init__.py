"""Videos: photo mode through affine fields that change slowly, artistic mode along the optical flow."""

from __future__ import annotations

from photostyle.video.film import Video, stylize_video
from photostyle.video.options import VideoOptions, video_help
from photostyle.video.target import record_file

__all__ = ["Video", "VideoOptions", "record_file", "stylize_video", "video_help"]
