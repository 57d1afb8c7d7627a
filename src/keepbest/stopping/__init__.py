"""When to stop: pure values and decisions, without torch, Lightning or Hydra."""
