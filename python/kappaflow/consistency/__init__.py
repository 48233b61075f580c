"""The main job: how consistent models of n images are, which law to use, and how many images are needed."""
