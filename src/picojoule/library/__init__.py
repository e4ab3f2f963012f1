"""Data only: machines, shares of peak, prices, sources. Read through picojoule.formats."""
