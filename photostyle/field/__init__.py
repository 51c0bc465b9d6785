"""The affine field: colour maps over place and brightness, blended by soft masks, and its objective."""
