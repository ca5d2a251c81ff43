# The TensorFlow server: `python -m container.images build` fills build/wheelhouse/tf, finds or makes a base, and runs this.
#
#   runtime  as the MXNet server's: one layer for both, and users' packages want libgomp too
#   build    the locked wheels, in a virtual environment that is then made small
#   code     the server
#   (last)   runtime + build + code
#
# For the classic builder as for BuildKit: no `syntax` line, which a hub would have to answer, no mounts, no heredocs.
# Nothing here asks a Python package index. Debian's is asked only for what BASE lacks.
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS runtime
COPY container/image/stdlib.py /
RUN set -eu; \
    has_library() { /sbin/ldconfig -p | grep -q "$1"; }; \
    missing=""; \
    command -v python3.11 >/dev/null || missing="$missing python3.11"; \
    has_library libgomp.so.1 || missing="$missing libgomp1"; \
    has_library libquadmath.so.0 || missing="$missing libquadmath0"; \
    if [ -n "$missing" ]; then \
        apt-get update -qq; \
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing; \
        case "$missing" in *python*) python3.11 -B /stdlib.py;; esac; \
        rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/cache/ldconfig /var/log/*.log /var/log/apt; \
    fi; \
    rm /stdlib.py; \
    # Not by useradd: it writes today's date.
    echo 'ei:x:10001:10001:ei:/nonexistent:/usr/sbin/nologin' >> /etc/passwd; \
    echo 'ei:x:10001:' >> /etc/group; \
    mkdir -p /opt/ml/model

FROM runtime AS build
COPY requirements/tensorflow.txt container/image /build/
COPY build/wheelhouse/tf/*.whl /build/wheelhouse/
RUN set -eu; \
    cd /build; \
    python3.11 -m venv --without-pip /opt/ei; \
    pip() { /opt/ei/bin/python -B "$(echo /build/wheelhouse/pip-*.whl)/pip" "$@"; }; \
    install() { pip install -q --no-cache-dir --no-compile --no-index --no-deps --disable-pip-version-check "$@"; }; \
    install --find-links wheelhouse --require-hashes -r tensorflow.txt; \
    site=/opt/ei/lib/python3.11/site-packages; \
    /opt/ei/bin/python -B slim.py strip $site; \
    /opt/ei/bin/python -B slim.py imported $site tensorflow; \
    /opt/ei/bin/python -B zipapp_pip.py wheelhouse /opt/ei/pip.pyz; \
    ln -s ../pip.pyz /opt/ei/bin/pip; \
    rm /opt/ei/bin/[Aa]ctivate*
# A genuine TensorFlow Serving, or Elastic Inference's build of it, then runs the models.
ARG TFS_BINARY=
# Of several sources one may match nothing.
COPY requirements/tensorflow.txt build/wheelhouse/tf/own* /build/own/
RUN test -z "$TFS_BINARY" || install -m 755 "/build/$TFS_BINARY" /opt/ei/bin/tensorflow_model_server

FROM runtime AS code
COPY container/image /build/
COPY serving /code/site-packages/serving/
COPY onnx_import /code/site-packages/onnx_import/
RUN set -eu; \
    python3.11 -B /build/slim.py compile /code/site-packages/serving; \
    python3.11 -B /build/slim.py compile /code/site-packages/onnx_import; \
    install -D -m 755 -t /code/bin /build/serve /build/accelerator /build/health_check /build/ei; \
    # Where Elastic Inference's images had them, which scripts and task definitions call by path.
    install -D -m 755 -t /code/opt/ei_health_check/bin /build/health_check; \
    install -D -m 755 -t /code/opt/ei_tools/bin /build/health_check; \
    install -D -m 755 -t /code/opt/amazon/ei/ei_tools/bin /build/ei; \
    # A checkout's umask must not decide what the serving user can read.
    chmod -R u=rwX,go=rX /code

FROM runtime
COPY --from=build /opt/ei /opt/ei
COPY --from=code /code/site-packages /opt/ei/lib/python3.11/site-packages
COPY --from=code /code/bin /opt/ei/bin
COPY --from=code /code/opt /opt
# Where the base brings no certificates of authorities, OpenSSL finds Mozilla's, of the locked wheel.
RUN test -e /usr/lib/ssl/cert.pem || { mkdir -p /usr/lib/ssl; \
    ln -s /opt/ei/lib/python3.11/site-packages/certifi/cacert.pem /usr/lib/ssl/cert.pem; }; \
    test ! -e /opt/ei/bin/tensorflow_model_server || { \
    ln -s /opt/ei/bin/tensorflow_model_server /usr/bin/; /usr/bin/tensorflow_model_server --version; }
# TEST_TMPDIR: `import tensorflow` brings in absl's test support, which wants a writable folder where this names none.
# EI_USER: the start is root's, so that it can read a model folder of mode 0700; `serve` goes on as this uid.
ENV PATH=/opt/ei/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    LANG=C.UTF-8 \
    PYTHONUNBUFFERED=1 \
    EI_USER=10001 \
    EI_PIP=/opt/ei/pip.pyz \
    TEST_TMPDIR=/tmp
EXPOSE 8080
CMD ["serve"]
ARG VERSION=0
LABEL com.amazonaws.sagemaker.capabilities.multi-models=true \
      com.amazonaws.sagemaker.capabilities.accept-bind-to-port=true \
      org.opencontainers.image.title=ei-tf \
      org.opencontainers.image.description="TensorFlow models behind the SageMaker container contract" \
      org.opencontainers.image.licenses=Apache-2.0 \
      org.opencontainers.image.version=$VERSION
# The last step: a build whose server cannot be imported, or not by its user, is no image.
RUN ["/opt/ei/bin/python", "-B", "-c", "import os; os.setgid(10001); os.setuid(10001); \
import serving.__main__, serving.http.arbiter, serving.control.app, serving.codecs, serving.models.store, PIL.Image; \
import serving.accelerators.server.front, serving.accelerators.rpc.server, serving.accelerators.rpc.grpcio; \
from serving.backends.tensorflow_import import library, protos; \
library(); protos(); \
import tensorflow as tf, tensorflow.keras, tensorflow_serving.apis.prediction_service_pb2_grpc; \
assert tf.reduce_sum(tf.ones(3)) == 3"]
