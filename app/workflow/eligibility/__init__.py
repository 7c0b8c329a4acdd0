"""Who is eligible for what: rules kept, homes screened, needs proposed from a survey."""
