"""An ARM CPU: OpenVINO for float graphs, ONNX Runtime for those with INT8."""
