"""What a shop selling bicycles would also need: clock, settings, logs, database, Kafka, HTTP, telemetry."""
