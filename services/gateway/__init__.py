"""The public edge: who asks, what they may see, and the answers as JSON, CSV and live events."""
