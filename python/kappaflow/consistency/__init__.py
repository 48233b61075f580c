"""The main job: how consistent linear diffusion models of n images are, which law to use, and how many images are needed."""

from .._lazy import lazy_attributes

__getattr__, __dir__ = lazy_attributes(__name__)
