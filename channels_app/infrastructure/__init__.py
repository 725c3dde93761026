"""What every process of ours stands on: database pool, group commit, failpoints, migration, metrics."""
