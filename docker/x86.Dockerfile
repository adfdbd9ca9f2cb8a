# SegEdge for CPU targets. Build from the root of the repository:
#   docker build -f docker/x86.Dockerfile -t segedge .
#   docker run --rm -v "$PWD":/data segedge deploy net.onnx --task task.toml --data images --out run
FROM python:3.11-slim-bookworm
WORKDIR /opt/segedge
COPY pyproject.toml constraints.txt README.md LICENSE CHANGELOG.md ./
COPY edge edge
COPY export export
RUN pip install --no-cache-dir --constraint constraints.txt '.[medical,sign]'
WORKDIR /data
ENTRYPOINT ["edge"]
CMD ["--help"]
