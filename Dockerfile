# Images for clusters other than the development cluster:
#
#   docker build --target manager -t REPOSITORY/manager:TAG .
#   docker build --target agent   -t REPOSITORY/agent:TAG .
#
# What is tested in this repository is the archive that hack/image writes: e2e runs the programs from it. This file builds
# the same programs through the same hack/image with the same flags and puts the same files around them. The steps
# around that, and the base image, are not tested here: the tests' machines have no container engine and no registry.
# The agent links libopus, so each platform builds its own: there is no cross-compiling here.
FROM golang:1.26 AS build
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends libopus-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN go build -buildvcs=false -o /hack-image ./hack/image
ARG VERSION=dev
RUN /hack-image --version "$VERSION" --binary manager --out /out/manager && \
    /hack-image --version "$VERSION" --binary agent --out /out/agent
# The files of hack/image/archive: a user with a number, CA certificates, /tmp.
RUN mkdir -p /base/etc/ssl/certs /base/tmp && chmod 1777 /base/tmp && \
    cp /etc/ssl/certs/ca-certificates.crt /base/etc/ssl/certs/ && \
    printf 'root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n' > /base/etc/passwd

FROM scratch AS manager
COPY --from=build /base /
COPY --from=build /out/manager /manager
USER 65532:65532
ENTRYPOINT ["/manager"]

FROM scratch AS agent
COPY --from=build /base /
COPY --from=build /out/agent /agent
USER 65532:65532
ENTRYPOINT ["/agent"]
