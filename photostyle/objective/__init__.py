"""The objective: content, masked style, Matting Laplacian and total variation, as pure functions."""
