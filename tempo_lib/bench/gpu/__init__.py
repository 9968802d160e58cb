"""What the paper's scale costs on one GPU, part by part; the shapes are exact, weights random."""
