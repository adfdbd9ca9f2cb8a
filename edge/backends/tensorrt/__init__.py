"""TensorRT, TensorRT for RTX and torch-tensorrt behind the protocol of ``engine.py``."""
