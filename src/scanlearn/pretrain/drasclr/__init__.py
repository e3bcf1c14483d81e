"""DrasCLR (Yu et al., Medical Image Analysis 2023)."""
