"""The dashboards' tiles, a module for each topic. What stands here is found by itself: see catalogue.collect()."""
