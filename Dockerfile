# docker build -t avtag .                             processor only
# docker build -t avtag --build-arg TORCH=cu128 .     NVIDIA GPUs; run with --gpus all
# docker run --rm -v "$PWD:/work" -v avtag:/cache avtag video.mp4
FROM python:3.12-slim

ARG TORCH=cpu
RUN pip install --no-cache-dir torch torchvision \
    --index-url "https://download.pytorch.org/whl/${TORCH}"

COPY pyproject.toml README.md LICENSE /source/
COPY av_tagger /source/av_tagger
COPY weights /source/weights
RUN pip install --no-cache-dir /source && rm -r /source

ENV AV_TAGGER_CACHE=/cache
VOLUME /cache
WORKDIR /work
ENTRYPOINT ["av-tag"]
CMD ["--help"]
