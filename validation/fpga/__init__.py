"""FPGA designs beside published boards: `python -m validation.fpga`."""
