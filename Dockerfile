# All commands as static binaries in an image with nothing else in it.
#   docker build -t tributary .
#   docker run --rm tributary moq-relay --help
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o /out/ \
    ./cmd/moq ./cmd/moq-relay ./cmd/moq-pub ./cmd/moq-sub ./cmd/moq-api ./cmd/moq-dir ./cmd/moq-clock ./cmd/moq-bench ./cmd/moq-interop-client

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/ /bin/
ENV PATH=/bin
USER 65534:65534
