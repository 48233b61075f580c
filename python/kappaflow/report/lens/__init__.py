"""The linear lens on a page: one file a window, each of which turns a study into figures, tables and sentences."""
