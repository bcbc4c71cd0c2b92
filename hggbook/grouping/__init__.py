"""The keypoint grouping stage: graph construction, interaction GNN, discriminators, OHGC. Paper: sec. 3.1, 3.2."""
