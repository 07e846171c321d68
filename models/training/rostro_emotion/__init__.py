"""Training kit of rostro's emotion net: two heads on one small trunk, FER+ votes and FER2013 labels."""
