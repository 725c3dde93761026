"""Reading the numbers back: from the sums where they are enough, else from the facts of single chats."""
