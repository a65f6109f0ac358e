"""What the operating system is asked and told: signals, logs, notices, memory."""
