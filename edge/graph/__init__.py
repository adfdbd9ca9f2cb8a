"""The network as an ONNX graph with its task, and what reads or edits graphs."""
