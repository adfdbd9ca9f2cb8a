# Verifies a bundle on a Jetson with JetPack 6.2 (L4T R36.4), which brings TensorRT 10.3. Not run on a board.
#   docker build -f docker/jetpack.Dockerfile -t segedge-verify .
#   docker run --rm --runtime nvidia -v "$PWD/bundle":/bundle segedge-verify
# The base's TensorRT must be the board's JetPack's: an engine is built by the library that runs it.
FROM nvcr.io/nvidia/l4t-jetpack:r36.4.0
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3-libnvinfer python3-numpy cmake g++ make \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /bundle
ENTRYPOINT ["python3", "-m", "edge_bundle"]
CMD ["verify"]
