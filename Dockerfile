# The agent's container image: one folder that scripts/image.ts makes, and nothing else. Every RUN line works outside Docker too, and CI
# runs it there (test/kernel/image.test.ts).

FROM node:24-bookworm AS build
WORKDIR /src
COPY . .
RUN sh scripts/setup.sh
RUN node_modules/.bin/node scripts/image.ts /image

FROM scratch
COPY --from=build /image/ /
# Root of the container, without capabilities but those that the DaemonSet adds.
USER 0:0
# As in bin/picket for `run`: memory that is free goes back to the system.
ENV MALLOC_ARENA_MAX=1 MALLOC_TRIM_THRESHOLD_=65536 MALLOC_MMAP_THRESHOLD_=65536
ENTRYPOINT ["/usr/lib/picket/bin/node", "--max-semi-space-size=2", "--heap-growing-percent=20", "--expose-gc", "/usr/lib/picket/agent/cli/main.mjs"]
CMD ["run", "--in-cluster", "--output=json"]
