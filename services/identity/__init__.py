"""Who exists, who agreed, who may report and who may see: territories, establishments, conventions, agents, grants, tokens."""
