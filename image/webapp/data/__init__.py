"""All that is hers: how much it is, taken along as one archive, and brought back."""
