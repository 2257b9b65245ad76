# Three stages: the desk, the server, and a small image that holds nothing but the binary and its prompts.
FROM node:20-bookworm-slim AS ui
WORKDIR /src/ui
COPY ui/package.json ui/package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY ui/ ./
RUN npm run build

FROM rust:1.95-bookworm AS server
WORKDIR /src
COPY Cargo.toml Cargo.lock build.rs ./
COPY benches/ benches/
COPY config/ config/
COPY fuzz/ fuzz/
COPY migrations/ migrations/
COPY src/ src/
COPY tests/ tests/
COPY --from=ui /src/ui/dist/ ui/dist/
RUN REQUIRE_UI=1 cargo build --release --locked --bin perezvon

FROM debian:bookworm-slim
RUN useradd --system --home-dir /var/lib/perezvon --create-home perezvon
COPY --from=server /src/target/release/perezvon /usr/local/bin/perezvon
COPY config/ /etc/perezvon/
USER perezvon
WORKDIR /var/lib/perezvon
ENV PEREZVON__DATA_DIR=/var/lib/perezvon/data \
    PEREZVON__RECORDING__DIR=/var/lib/perezvon/recordings
VOLUME /var/lib/perezvon
STOPSIGNAL SIGTERM
ENTRYPOINT ["perezvon"]
CMD ["serve"]
