"""Python side of qasr: reference model, synthetic checkpoints, golden data. Needs `pip install -r tools/requirements.txt`."""
