"""The cross-task leaderboard: systems trained and scored over all tasks, and the pages that compare them."""
